#pragma once

#include <string>
#include <string_view>

namespace clusterd {

// True for well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, at most U+10FFFF.
[[nodiscard]] bool is_valid_utf8(std::string_view bytes);

// `bytes` with each ill-formed sequence replaced by U+FFFD. What enters a protobuf `string` from
// outside goes through this first: protobuf serialises bad UTF-8 and then cannot parse it.
[[nodiscard]] std::string to_valid_utf8(std::string_view bytes);

}  // namespace clusterd
