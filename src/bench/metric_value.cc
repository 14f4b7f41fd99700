#include "bench/metric_value.h"

#include <algorithm>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace clusterd::bench {

absl::StatusOr<double> metric_value(std::string_view page, std::string_view name) {
  const std::string start = std::string(name) + " ";
  while (!page.empty()) {
    const std::string_view line = page.substr(0, page.find('\n'));
    double value = 0;
    if (line.starts_with(start) && absl::SimpleAtod(std::string(line.substr(start.size())), &value))
      return value;
    page.remove_prefix(std::min(page.size(), line.size() + 1));
  }
  return absl::NotFoundError(absl::StrCat("the scheduler's metrics have no ", start));
}

}  // namespace clusterd::bench
