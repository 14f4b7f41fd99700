#include "cli/number_check.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/numbers.h"

namespace clusterd {

std::string check_whole_number(const std::string& text) {
  uint64_t number = 0;
  if (absl::SimpleAtoi(text, &number)) return "";
  return "\"" + text + "\" is no whole number from 0 to 18446744073709551615";
}

std::string check_not_negative(const std::string& text) {
  double number = 0;
  if (absl::SimpleAtod(text, &number) && std::isfinite(number) && number >= 0) return "";
  return "\"" + text + "\" is no number from 0 on";
}

}  // namespace clusterd
