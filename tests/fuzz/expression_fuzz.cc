#include <cstdlib>

#include "core/cron.h"
#include "core/label_expression.h"
#include "fuzz/fuzz_bytes.h"

// Label expressions and cron lines of any text mean something or are refused; what they mean takes
// bounded time to find, and does not change.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace clusterd;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto expression = LabelExpression::parse(text);
  if (expression.ok()) {
    google::protobuf::Map<std::string, std::string> labels;
    labels["zone"] = "a";
    labels["gpu"] = "";
    const auto again = LabelExpression::parse(expression->text());
    if (!again.ok() || again->matches(labels) != expression->matches(labels)) std::abort();
  } else if (expression.status().message().empty()) {
    std::abort();
  }
  const auto cron = Cron::parse(text);
  if (!cron.ok()) return 0;
  const WallTime after{std::chrono::seconds(1'700'000'000)};
  const auto next = cron->next(after, absl::UTCTimeZone());
  if (next && *next <= after) std::abort();
  const auto latest =
      cron->latest(after, after + std::chrono::hours(24 * 400), absl::UTCTimeZone(), 3);
  if (latest.size() > 3) std::abort();
  for (const WallTime time : latest) {
    if (time <= after) std::abort();
  }
  return 0;
}
