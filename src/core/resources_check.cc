#include "core/resources_check.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/label_expression.h"

namespace clusterd {
namespace {

constexpr size_t kLongestName = 64;
constexpr size_t kLongestTaint = 128;  // of a key, and of a value
constexpr size_t kLongestQueueName = 128;
constexpr size_t kMostResources = 16;
constexpr int kMostPreferences = 64;
constexpr int kMostTolerated = 64;
constexpr int32_t kGreatestWeight = 100;

absl::string_view view(std::string_view text) { return {text.data(), text.size()}; }

absl::Status wrong(std::string_view value, std::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat("\"", view(value), "\": allowed ", view(allowed)));
}

bool is_word(std::string_view text, size_t longest) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= longest && std::all_of(text.begin(), text.end(), allowed);
}

absl::Status in_field(std::string_view field, const absl::Status& status) {
  return status.ok() ? status : invalid_field(field, std::string(status.message()));
}

absl::Status check_custom(const v1::Resources& wants) {
  const std::map<std::string, uint32_t> units(wants.custom().begin(), wants.custom().end());
  for (const auto& [name, count] : units) {
    if (absl::Status status = check_resource_name(name); !status.ok()) {
      return in_field("resources.custom", status);
    }
    if (count == 0 || count > kMostUnits) {
      return invalid_field("resources.custom",
                           absl::StrCat(name, " = ", count, ": allowed are 1 to ", kMostUnits));
    }
  }
  return in_field("resources.custom", check_resource_names(units));
}

absl::Status check_preferences(const v1::JobSpec& spec) {
  if (spec.prefer_size() > kMostPreferences) {
    return invalid_field("prefer", absl::StrCat(spec.prefer_size(), " expressions, at most ",
                                                kMostPreferences, " are allowed"));
  }
  for (int i = 0; i < spec.prefer_size(); ++i) {
    const v1::Preference& preference = spec.prefer(i);
    const std::string field = absl::StrCat("prefer[", i, "]");
    const auto expression = LabelExpression::parse(preference.match());
    if (!expression.ok()) return in_field(field + ".match", expression.status());
    const int32_t weight = preference.weight();
    if (weight == 0 || weight < -kGreatestWeight || weight > kGreatestWeight) {
      return invalid_field(field + ".weight",
                           absl::StrCat(weight, ": allowed are -100 to 100, and not 0"));
    }
  }
  return absl::OkStatus();
}

absl::Status check_tolerated(const v1::JobSpec& spec) {
  if (spec.tolerate_size() > kMostTolerated) {
    return invalid_field("tolerate", absl::StrCat(spec.tolerate_size(), " taints, at most ",
                                                  kMostTolerated, " are allowed"));
  }
  for (int i = 0; i < spec.tolerate_size(); ++i) {
    if (spec.tolerate(i) == "*" || check_taint(spec.tolerate(i)).ok()) continue;
    return in_field(absl::StrCat("tolerate[", i, "]"),
                    wrong(spec.tolerate(i),
                          "are key, key=value and *, of letters, digits, '.', "
                          "'_' and '-'"));
  }
  return absl::OkStatus();
}

// As a gang's record has it.
bool is_array_of(const v1::ArraySpec& array, const v1::GangSpec& gang) {
  return array.from() == 0 && array.to() == gang.size() - 1 && array.step() <= 1 &&
         array.max_parallel() == 0;
}

absl::Status check_gang(const v1::JobSpec& spec) {
  if (!spec.has_gang()) return absl::OkStatus();
  const v1::GangSpec& gang = spec.gang();
  if (gang.size() == 0 || gang.size() > kMostInGang) {
    return invalid_field("gang.size",
                         absl::StrCat(gang.size(), ": allowed are 1 to ", kMostInGang));
  }
  if (!v1::GangSpec::OnFailure_IsValid(gang.on_failure())) {
    return invalid_field("gang.on_failure", absl::StrCat(static_cast<int>(gang.on_failure()),
                                                         " is neither STOP_ALL nor CONTINUE"));
  }
  if (spec.has_array() && !is_array_of(spec.array(), gang)) {
    return invalid_field("array", "goes not together with gang");
  }
  if (!spec.handler().empty()) return invalid_field("handler", "goes not together with gang");
  if (spec.resources().every_worker()) {
    return invalid_field("resources.every_worker", "goes not together with gang");
  }
  if (spec.retry().max_attempts() > 1) {
    return invalid_field("retry",
                         "goes not together with gang: one task alone cannot be started again");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status check_resource_name(std::string_view name) {
  if (is_word(name, kLongestName)) return absl::OkStatus();
  return wrong(name, "are 1 to 64 letters, digits, '.', '_' and '-'");
}

absl::Status check_resource_names(const std::map<std::string, uint32_t>& units) {
  if (units.size() > kMostResources) {
    return absl::InvalidArgumentError(
        absl::StrCat(units.size(), " resources, at most ", kMostResources, " are allowed"));
  }
  std::set<std::string> variables;
  for (const auto& [name, count] : units) {
    if (variables.insert(ids_variable(name)).second) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", name, "\" and another one have the same variable, ", ids_variable(name)));
  }
  return absl::OkStatus();
}

absl::Status check_taint(std::string_view taint) {
  const size_t equals = taint.find('=');
  const bool fits =
      is_word(taint.substr(0, equals), kLongestTaint) &&
      (equals == std::string_view::npos || is_word(taint.substr(equals + 1), kLongestTaint));
  if (fits) return absl::OkStatus();
  return wrong(taint, "are key and key=value, of letters, digits, '.', '_' and '-'");
}

std::string ids_variable(std::string_view resource) {
  std::string name = "CLUSTERD_";
  for (const char c : resource) {
    const bool is_lower = c >= 'a' && c <= 'z';
    const bool stays = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += is_lower ? static_cast<char>(c - 'a' + 'A') : stays ? c : '_';
  }
  return name + "_IDS";
}

absl::Status check_queue_name(std::string_view field, std::string_view name) {
  if (is_word(name, kLongestQueueName)) return absl::OkStatus();
  return in_field(field, wrong(name, "are 1 to 128 letters, digits, '.', '_' and '-'"));
}

absl::Status check_placement(const v1::JobSpec& spec) {
  absl::Status status = check_custom(spec.resources());
  if (status.ok()) status = check_preferences(spec);
  if (status.ok()) status = check_tolerated(spec);
  if (status.ok()) status = check_gang(spec);
  return status;
}

}  // namespace clusterd
