#pragma once

#include <string_view>

#include "absl/status/statusor.h"

namespace clusterd::bench {

// The value of a metric without labels in a page of Prometheus's text format. NOT_FOUND: it is not
// there.
[[nodiscard]] absl::StatusOr<double> metric_value(std::string_view page, std::string_view name);

}  // namespace clusterd::bench
