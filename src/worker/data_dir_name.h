#pragma once

#include <string>

namespace clusterd {

// 16 hexadecimal digits that stand for a data_dir where it needs a name of its own among those of
// other workers: the same in every version. `real_path` has no symbolic links in it.
[[nodiscard]] std::string data_dir_name(const std::string& real_path);

}  // namespace clusterd
