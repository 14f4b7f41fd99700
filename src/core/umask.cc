#include "core/umask.h"

#include <charconv>

namespace clusterd {
namespace {

constexpr size_t kMaxDigits = 4;
constexpr uint32_t kAllBits = 0777;

}  // namespace

std::optional<uint32_t> parse_umask(std::string_view text) {
  uint32_t mask = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mask, 8);
  const bool is_whole = error == std::errc() && end == text.data() + text.size();
  if (!is_whole || text.size() > kMaxDigits || mask > kAllBits) return std::nullopt;
  return mask;
}

}  // namespace clusterd
