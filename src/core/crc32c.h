#pragma once

#include <cstdint>
#include <string_view>

namespace clusterd {

// CRC32C (RFC 3720, appendix B.4) of `bytes`; 0 of none. Async-signal-safe after its first call in
// the process.
[[nodiscard]] uint32_t crc32c(std::string_view bytes);

// The same over a sequence: `crc` is that of the bytes before `bytes`.
[[nodiscard]] uint32_t extend_crc32c(uint32_t crc, std::string_view bytes);

}  // namespace clusterd
