#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

// Names of the hierarchies of cgroups that are of use here: the one of version 2, and those of
// version 1 by their controller.
inline constexpr std::string_view kUnifiedHierarchy = "unified";
inline constexpr std::string_view kMemoryController = "memory";
inline constexpr std::string_view kPidsController = "pids";
inline constexpr std::string_view kCpuController = "cpu";

// A hierarchy that is mounted, and where in it a process is.
struct CgroupPlace {
  std::string hierarchy;
  std::string mount;   // its highest folder that can be seen
  std::string folder;  // of the process; `mount` itself, or below it
};

// From the texts of /proc/self/mountinfo and /proc/self/cgroup. A hierarchy that shows only
// folders beside the process's own is left out. The unified one comes first.
[[nodiscard]] std::vector<CgroupPlace> find_cgroup_places(std::string_view mountinfo,
                                                          std::string_view own);

}  // namespace clusterd
