#pragma once

#include <vector>

#include "worker/unique_fd.h"

namespace clusterd {

// Low descriptors through which a spawn thread hands files to its children. A child takes the
// descriptors below end() with it and no others, so it does not matter to it how many the launcher
// has for the jobs that run.
//
// One for each spawn thread. As long as nothing is put there, its descriptors are /dev/null.
class HandoverFds {
 public:
  // Takes the lowest descriptors that are free.
  HandoverFds();

  // /dev/null, for reading. −1: it cannot be opened.
  [[nodiscard]] int null() const { return null_.get(); }

  // A copy of `fd` below end(); `fd` itself where that is there already or no more can be had. A
  // negative one stays what it is.
  [[nodiscard]] int put(int fd);

  // The first descriptor that a child does not need.
  [[nodiscard]] int end() const { return end_; }

  // Lets go of what was put there.
  void clear();

 private:
  const UniqueFd null_;
  std::vector<UniqueFd> slots_;
  size_t used_ = 0;
  const int low_end_;  // above all of these
  int end_;
};

}  // namespace clusterd
