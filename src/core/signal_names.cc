#include "core/signal_names.h"

#include <csignal>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"

namespace clusterd {
namespace {

constexpr int kLastNamed = 31;

}  // namespace

std::optional<int> signal_number(std::string_view text) {
  int number = 0;
  if (absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &number)) {
    if (number < 1 || number > SIGRTMAX || (number > kLastNamed && number < SIGRTMIN)) {
      return std::nullopt;
    }
    return number;
  }
  std::string name = absl::AsciiStrToUpper(absl::string_view(text.data(), text.size()));
  if (name.rfind("SIG", 0) == 0) name.erase(0, 3);
  for (number = 1; number <= kLastNamed; ++number) {
    const char* known = sigabbrev_np(number);
    if (known != nullptr && name == known) return number;
  }
  return std::nullopt;
}

std::string signal_name(int number) {
  const char* known = number >= 1 && number <= kLastNamed ? sigabbrev_np(number) : nullptr;
  return known != nullptr ? known : std::to_string(number);
}

}  // namespace clusterd
