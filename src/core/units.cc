#include "core/units.h"

#include <array>
#include <limits>
#include <optional>

#include "absl/status/status.h"

namespace clusterd {
namespace {

struct Unit {
  std::string_view name;
  int64_t factor;
};

constexpr std::array<Unit, 9> kSizeUnits = {{{"TiB", 1LL << 40},
                                             {"TB", 1'000'000'000'000},
                                             {"GiB", 1LL << 30},
                                             {"GB", 1'000'000'000},
                                             {"MiB", 1LL << 20},
                                             {"MB", 1'000'000},
                                             {"KiB", 1LL << 10},
                                             {"kB", 1'000},
                                             {"B", 1}}};
constexpr std::array<Unit, 7> kTimeUnits = {{{"d", 86'400'000'000'000},
                                             {"h", 3'600'000'000'000},
                                             {"m", 60'000'000'000},
                                             {"s", 1'000'000'000},
                                             {"ms", 1'000'000},
                                             {"us", 1'000},
                                             {"ns", 1}}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// A decimal number and the letters after it, taken off the front of `text`.
struct Quantity {
  int64_t whole = 0;
  int64_t fraction = 0;        // of `fraction_scale`
  int64_t fraction_scale = 1;  // a power of ten, at most 1,000
  std::string_view unit;
};

bool take_digits(std::string_view& text, int64_t& value, int64_t* scale) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr int64_t kMaxScale = 1'000;  // a fraction of a day in ns still fits
  if (text.empty() || !is_digit(text.front())) return false;
  while (!text.empty() && is_digit(text.front())) {
    const int64_t digit = text.front() - '0';
    if (scale != nullptr && *scale >= kMaxScale) return false;
    if (value > (kMax - digit) / 10) return false;
    value = value * 10 + digit;
    if (scale != nullptr) *scale *= 10;
    text.remove_prefix(1);
  }
  return true;
}

std::optional<Quantity> take_quantity(std::string_view& text) {
  Quantity quantity;
  if (!take_digits(text, quantity.whole, nullptr)) return std::nullopt;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (!take_digits(text, quantity.fraction, &quantity.fraction_scale)) return std::nullopt;
  }
  size_t letters = 0;
  while (letters < text.size() && is_letter(text[letters])) ++letters;
  quantity.unit = text.substr(0, letters);
  text.remove_prefix(letters);
  return quantity;
}

template <size_t N>
std::optional<int64_t> factor_of(const std::array<Unit, N>& units, std::string_view name) {
  for (const Unit& unit : units) {
    if (unit.name == name) return unit.factor;
  }
  return std::nullopt;
}

// Nothing where the product does not fit into 63 bits.
std::optional<int64_t> multiply(const Quantity& quantity, int64_t factor) {
  int64_t product = 0;
  const int64_t part = quantity.fraction * factor / quantity.fraction_scale;
  if (__builtin_mul_overflow(quantity.whole, factor, &product)) return std::nullopt;
  if (__builtin_add_overflow(product, part, &product)) return std::nullopt;
  return product;
}

absl::Status bad_size(std::string_view text) {
  return absl::InvalidArgumentError(
      "\"" + std::string(text) +
      "\" is not a size; allowed are bytes or a number with KiB, MiB, GiB, TiB, kB, MB, GB or TB");
}

absl::Status bad_duration(std::string_view text) {
  return absl::InvalidArgumentError("\"" + std::string(text) +
                                    "\" is not a duration; allowed is a number with ms, s, m, h or "
                                    "d, as in \"15s\" or \"1h30m\"");
}

}  // namespace

absl::StatusOr<uint64_t> parse_size(std::string_view text) {
  std::string_view rest = text;
  const auto quantity = take_quantity(rest);
  if (!quantity || !rest.empty()) return bad_size(text);
  const auto factor =
      quantity->unit.empty() ? std::optional<int64_t>(1) : factor_of(kSizeUnits, quantity->unit);
  if (!factor || (*factor == 1 && quantity->fraction != 0)) return bad_size(text);
  const auto bytes = multiply(*quantity, *factor);
  if (!bytes) return bad_size(text);
  return static_cast<uint64_t>(*bytes);
}

absl::StatusOr<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  if (text == "0") return std::chrono::nanoseconds(0);
  std::string_view rest = text;
  int64_t total = 0;
  do {
    const auto quantity = take_quantity(rest);
    const auto factor = quantity ? factor_of(kTimeUnits, quantity->unit) : std::nullopt;
    const auto part = factor ? multiply(*quantity, *factor) : std::nullopt;
    if (!part || *part > std::numeric_limits<int64_t>::max() - total) return bad_duration(text);
    total += *part;
  } while (!rest.empty());
  return std::chrono::nanoseconds(total);
}

std::string format_size(uint64_t bytes) {
  for (const Unit& unit : kSizeUnits) {
    const auto factor = static_cast<uint64_t>(unit.factor);
    const bool is_binary = unit.name.size() == 3;
    if (is_binary && bytes >= factor && bytes % factor == 0) {
      return std::to_string(bytes / factor) + std::string(unit.name);
    }
  }
  return std::to_string(bytes);
}

std::string format_duration(std::chrono::nanoseconds duration) {
  int64_t rest = duration.count();
  if (rest == 0) return "0s";
  std::string text = rest < 0 ? "-" : "";
  rest = rest < 0 ? -rest : rest;
  for (const Unit& unit : kTimeUnits) {
    if (unit.name == "d") continue;  // hours say it as well, and "168h" is what people write
    if (rest < unit.factor) continue;
    text += std::to_string(rest / unit.factor) + std::string(unit.name);
    rest %= unit.factor;
  }
  return text;
}

}  // namespace clusterd
