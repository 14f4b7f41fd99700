#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/config_keys.h"

namespace clusterd {

// Rules for single values of a configuration file. Each error says what the value is and what is
// allowed; the key is put before it by the caller.

[[nodiscard]] absl::Status check_text(const ConfigKey& key, std::string_view value);
[[nodiscard]] absl::Status check_range(const ConfigKey& key, int64_t value);
[[nodiscard]] absl::Status check_number(const ConfigKey& key, double value);

// A text for a key that holds bytes or a duration; within the key's range.
[[nodiscard]] absl::StatusOr<uint64_t> size_value(const ConfigKey& key, std::string_view text);
[[nodiscard]] absl::StatusOr<std::chrono::nanoseconds> duration_value(const ConfigKey& key,
                                                                      std::string_view text);

// What may stand there: "a duration, as in \"15s\"".
[[nodiscard]] std::string allowed_type(const ConfigKey& key);

// For a key or table that does not exist: ", did you mean addr?", or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       const std::vector<std::string_view>& known);

}  // namespace clusterd
