#pragma once

#include <string>
#include <string_view>

namespace clusterd {

// SHA-256 (FIPS 180-4), 32 raw bytes. Any thread.
[[nodiscard]] std::string sha256(std::string_view bytes);

}  // namespace clusterd
