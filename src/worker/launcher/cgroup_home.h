#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clusterd/internal/launcher.pb.h"

namespace clusterd {

// Which cgroups are used.
enum class CgroupMode {
  kAuto,      // what there is, of version 2 rather than of version 1
  kVersion1,  // of version 1 only
  kOff,       // none
};

// The launcher's own cgroups, one in each hierarchy that it uses; those of attempts lie below.
//
// Version 2 counts and kills the processes of an attempt, and limits them where its controllers
// can be had; a controller that version 1 has is used there. Where the processes of the service
// have a cgroup of version 2 that is theirs to divide, they are moved into one below it, since
// controllers reach only those below a cgroup without processes.
//
// What is made is written down in `<data_dir>/launcher/cgroups`, so that a later launcher finds it
// wherever that one is started. Owned by CgroupPool; immutable once open, so any thread reads it.
class CgroupHome {
 public:
  struct Folder {
    std::string hierarchy;
    std::string path;
  };

  // Does not fail: what cannot be had is told by unenforced(). What an earlier launcher has made is
  // opened too, for its attempts, where new ones no longer get it.
  // `parent`: a cgroup of version 2, below its mount, that is ours to divide; empty, or where it is
  // missing: chosen by where this process is.
  [[nodiscard]] static CgroupHome open(const std::string& data_dir, CgroupMode mode,
                                       const std::string& parent = "");

  [[nodiscard]] const std::vector<Folder>& folders() const { return folders_; }
  // The hierarchy that tells which processes belong to a new attempt; empty: it gets no cgroup.
  [[nodiscard]] std::string tracker() const;
  // The hierarchy in which a controller limits new attempts; empty: it cannot be had.
  [[nodiscard]] std::string hierarchy_of(std::string_view controller) const;
  [[nodiscard]] const Folder* find(std::string_view hierarchy) const;
  [[nodiscard]] std::vector<internal::UnenforcedLimit> unenforced() const;

  // Removes what is empty; all of it where no attempt is left.
  void remove() const;

 private:
  void add(const std::string& hierarchy, const std::string& path);
  void add_controllers(const Folder& folder);
  void note_failure(std::string_view hierarchy, const std::string& reason);

  std::string record_;  // the file
  CgroupMode mode_ = CgroupMode::kAuto;
  std::vector<Folder> folders_;
  std::vector<std::string> unified_controllers_;
  std::vector<internal::UnenforcedLimit> failures_;  // by hierarchy
};

}  // namespace clusterd
