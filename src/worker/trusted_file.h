#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "worker/unique_fd.h"

namespace clusterd {

// Scripts that run as sealed copies have at most this many bytes.
inline constexpr uint64_t kMaxSealedScriptBytes = 64ULL << 20;

// Opens a regular file for reading that only root and this process's user may write; no symbolic
// link is followed on the way. FAILED_PRECONDITION: it is something else, or others may write it.
// UNAVAILABLE: it cannot be opened. Blocks on the disk.
[[nodiscard]] absl::StatusOr<UniqueFd> open_trusted_file(const std::string& path);

// SHA-256 of an open file from where it stands to its end, 32 raw bytes. It stands at its beginning
// then. `path` is for messages. UNAVAILABLE: it cannot be read.
[[nodiscard]] absl::StatusOr<std::string> sha256_of_file(int file, const std::string& path);

}  // namespace clusterd
