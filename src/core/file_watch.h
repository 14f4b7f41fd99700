#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace clusterd {

// Tells when files have been changed or replaced, by looking at them now and then: which file a
// path leads to, its length and its times. So it sees a rename, a link that points elsewhere, and
// a file that comes or goes, on every kind of file system.
//
// Owned by whoever looks; one thread.
class FileWatch {
 public:
  // The present state is where it starts from. A path that does not exist is a state too.
  explicit FileWatch(std::vector<std::string> paths);

  // True once for each change, when it has come to rest: the files are the same as at the look
  // before, so that a certificate and its key that are written one after the other are one change.
  [[nodiscard]] bool look();
  // Takes the present state as known: somebody has read the files anyway.
  void settle();

 private:
  // What stat(2) tells of one path; none: nothing there.
  using State = std::vector<std::optional<std::vector<int64_t>>>;
  [[nodiscard]] State read() const;

  std::vector<std::string> paths_;
  State known_;
  State last_;
};

}  // namespace clusterd
