#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace clusterd {

// The folder of the launcher's socket and FIFOs, made with mode 0700: `<configured>/<name of
// data_dir>`, so that two workers may name the same; where `configured` is empty
// /run/clusterd/<name>, if it is on a tmpfs and can be made; else `<data_dir>/run`. `data_dir` must
// exist. INVALID_ARGUMENT if the path is too long for a Unix
// socket, PERMISSION_DENIED if the folder is another user's or open to others.
[[nodiscard]] absl::StatusOr<std::string> choose_runtime_dir(const std::string& configured,
                                                             const std::string& data_dir);

}  // namespace clusterd
