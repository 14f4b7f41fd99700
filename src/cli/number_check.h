#pragma once

#include <string>

namespace clusterd {

// Checks of options' values, as CLI11 takes them: empty, or what is wrong. Its own bound a number
// by printing all digits of the largest, and read one that is too large as the largest.

// A whole number from 0 on, of at most 64 bits.
[[nodiscard]] std::string check_whole_number(const std::string& text);
// A number from 0 on, with a fraction or without.
[[nodiscard]] std::string check_not_negative(const std::string& text);

}  // namespace clusterd
