#include "core/config_value.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/address.h"
#include "core/ip_network.h"
#include "core/resources_check.h"
#include "core/units.h"

namespace clusterd {
namespace {

absl::Status wrong(std::string_view value, std::string_view allowed) {
  return absl::InvalidArgumentError("\"" + std::string(value) + "\": allowed " +
                                    std::string(allowed));
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

absl::Status check_name(std::string_view value) {
  constexpr size_t kLongest = 128;
  if (value.size() > kLongest || !std::all_of(value.begin(), value.end(), is_name_character)) {
    return wrong(value, "are letters, digits, '.', '_' and '-', at most 128 of them");
  }
  return absl::OkStatus();
}

absl::Status check_word(const ConfigKey& key, std::string_view value) {
  if (std::find(key.words.begin(), key.words.end(), value) != key.words.end()) {
    return absl::OkStatus();
  }
  std::string allowed = key.words.size() == 1 ? "is" : "are";
  for (const std::string_view& word : key.words) {
    allowed += (&word == &key.words.front() ? " " : ", ") + std::string(word);
  }
  return wrong(value, allowed + did_you_mean(value, key.words));
}

absl::Status check_address(const ConfigKey& key, std::string_view value) {
  const auto address = parse_address(value);
  if (!address.ok()) return address.status();
  if (key.form == ConfigForm::kCallAddress && (address->host.empty() || address->port == 0)) {
    return wrong(value, "is host:port with a host and a port from 1 to 65535");
  }
  return absl::OkStatus();
}

absl::Status check_program(std::string_view value) {
  const bool is_name = !value.empty() && value.find('/') == std::string_view::npos;
  if (is_name || (value.starts_with('/') && value.size() > 1)) return absl::OkStatus();
  return wrong(value, "is a program's name without '/', or an absolute path");
}

absl::Status check_variable(std::string_view value) {
  if (!value.empty() && value.find('=') == std::string_view::npos) return absl::OkStatus();
  return wrong(value, "is the name of an environment variable");
}

std::string bound_text(const ConfigKey& key, int64_t bound) {
  if (std::holds_alternative<std::chrono::nanoseconds*>(key.target)) {
    return format_duration(std::chrono::nanoseconds(bound));
  }
  return key.form == ConfigForm::kSize ? format_size(static_cast<uint64_t>(bound))
                                       : std::to_string(bound);
}

absl::Status out_of_range(const ConfigKey& key, const std::string& value) {
  return absl::InvalidArgumentError(value + " is out of range; allowed is " +
                                    bound_text(key, key.min) + " to " + bound_text(key, key.max));
}

// Insertions, deletions and replacements that turn `a` into `b`.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

absl::Status check_text(const ConfigKey& key, std::string_view value) {
  switch (key.form) {
    case ConfigForm::kNotEmpty:
      return value.empty() ? wrong(value, "is a text that is not empty") : absl::OkStatus();
    case ConfigForm::kName:
      return check_name(value);
    case ConfigForm::kWord:
      return check_word(key, value);
    case ConfigForm::kListenAddress:
    case ConfigForm::kCallAddress:
      return check_address(key, value);
    case ConfigForm::kMaybeAddress:
      return value.empty() ? absl::OkStatus() : check_address(key, value);
    case ConfigForm::kProgram:
      return check_program(value);
    case ConfigForm::kNetwork:
      return IpNetwork::parse(value).status();
    case ConfigForm::kVariable:
      return check_variable(value);
    case ConfigForm::kTaint:
      return check_taint(value);
    case ConfigForm::kPlain:
    case ConfigForm::kSize:
      break;
  }
  return absl::OkStatus();
}

absl::Status check_range(const ConfigKey& key, int64_t value) {
  if (value >= key.min && value <= key.max) return absl::OkStatus();
  return out_of_range(key, std::to_string(value));
}

absl::Status check_number(const ConfigKey& key, double value) {
  const bool fits = value >= static_cast<double>(key.min) && value <= static_cast<double>(key.max);
  return fits ? absl::OkStatus() : out_of_range(key, std::to_string(value));  // NaN does not fit
}

absl::StatusOr<uint64_t> size_value(const ConfigKey& key, std::string_view text) {
  const auto bytes = parse_size(text);
  if (!bytes.ok()) return bytes.status();
  if (!check_range(key, static_cast<int64_t>(*bytes)).ok()) {
    return out_of_range(key, "\"" + std::string(text) + "\"");
  }
  return *bytes;
}

absl::StatusOr<std::chrono::nanoseconds> duration_value(const ConfigKey& key,
                                                        std::string_view text) {
  const auto duration = parse_duration(text);
  if (!duration.ok()) return duration.status();
  if (!check_range(key, duration->count()).ok()) {
    return out_of_range(key, "\"" + std::string(text) + "\"");
  }
  return *duration;
}

std::string allowed_type(const ConfigKey& key) {
  struct Name {
    const ConfigKey& of;
    std::string operator()(bool*) const { return "true or false"; }
    std::string operator()(std::string*) const {
      return of.form == ConfigForm::kListenAddress ? "a text, \"host:port\"" : "a text";
    }
    std::string operator()(std::vector<std::string>*) const {
      return of.form == ConfigForm::kCallAddress ? "\"host:port\" or a list of them"
                                                 : "a list of texts";
    }
    std::string operator()(std::map<std::string, std::string>*) const {
      return "a table of texts, as in { zone = \"a\" }";
    }
    std::string operator()(std::map<std::string, uint32_t>*) const {
      return "a table of integers, as in { gpu = 2 }";
    }
    std::string operator()(int32_t*) const { return "an integer"; }
    std::string operator()(uint32_t*) const { return "an integer"; }
    std::string operator()(uint64_t*) const {
      return of.form == ConfigForm::kSize ? "a size, as in \"64MiB\"" : "an integer";
    }
    std::string operator()(double*) const { return "a number"; }
    std::string operator()(std::chrono::nanoseconds*) const { return "a duration, as in \"15s\""; }
  };
  return std::visit(Name{key}, key.target);
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& known) {
  std::string_view best;
  size_t best_distance = word.size() / 3 + 1;  // farther than that is another word
  for (const std::string_view candidate : known) {
    const size_t steps = distance(word, candidate);
    if (steps > best_distance || (steps == best_distance && !best.empty())) continue;
    best = candidate;
    best_distance = steps;
  }
  return best.empty() ? "" : ", did you mean " + std::string(best) + "?";
}

}  // namespace clusterd
