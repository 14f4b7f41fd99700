#pragma once

#include <atomic>
#include <string>

#include "absl/status/status.h"

namespace clusterd {

// Removes a folder that a job could do with as it liked, and all that is in it. No symbolic link is
// followed, nothing on another file system is touched, and neither depth nor permissions stand in
// the way as far as this process can change them. A file or link of that name is removed too; none
// is fine.
//
// Stops early when `stop` becomes true: CANCELLED. UNAVAILABLE names the first thing that stays.
// Blocks on the disk, for as long as there is something to remove.
[[nodiscard]] absl::Status remove_tree(const std::string& path, const std::atomic<bool>& stop);

}  // namespace clusterd
