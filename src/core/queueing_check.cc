#include "core/queueing_check.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/label_expression.h"

namespace clusterd {
namespace {

constexpr int kMaxRequirements = 64;
constexpr uint32_t kMaxAttempts = 1'000;
constexpr int64_t kLastSecond = 253'402'300'799;  // 9999-12-31T23:59:59Z, protobuf's own bound

absl::Status check_requirements(const v1::JobSpec& spec) {
  if (spec.require_size() > kMaxRequirements) {
    return invalid_field("require", absl::StrCat(spec.require_size(), " expressions, at most ",
                                                 kMaxRequirements, " are allowed"));
  }
  for (int i = 0; i < spec.require_size(); ++i) {
    const auto expression = LabelExpression::parse(spec.require(i));
    if (expression.ok()) continue;
    return invalid_field(absl::StrCat("require[", i, "]"),
                         std::string(expression.status().message()));
  }
  return absl::OkStatus();
}

absl::Status check_retry(const v1::RetryPolicy& retry) {
  if (retry.max_attempts() > kMaxAttempts) {
    return invalid_field("retry.max_attempts", absl::StrCat(retry.max_attempts(), ", at most ",
                                                            kMaxAttempts, " are allowed"));
  }
  if (!retry.on().empty() && retry.max_attempts() < 2) {
    return invalid_field("retry.max_attempts",
                         absl::StrCat(retry.max_attempts(), ": retry.on needs at least 2"));
  }
  if (retry.on().empty() && retry.max_attempts() > 1) {
    return invalid_field("retry.on",
                         "is empty: name FAILURE, TIMEOUT, LOSS or START_FAILURE, or leave "
                         "retry.max_attempts out");
  }
  if (retry.max_losses() > kMaxAttempts) {
    return invalid_field("retry.max_losses", absl::StrCat(retry.max_losses(), ", at most ",
                                                          kMaxAttempts, " are allowed"));
  }
  const auto& on = retry.on();
  if (retry.max_losses() > 0 &&
      std::find(on.begin(), on.end(), v1::RetryPolicy::LOSS) == on.end()) {
    return invalid_field("retry.max_losses",
                         absl::StrCat(retry.max_losses(), ": retry.on needs LOSS"));
  }
  return absl::OkStatus();
}

absl::Status check_tasks(const v1::JobSpec& spec) {
  if (!spec.resources().every_worker()) return absl::OkStatus();
  if (spec.has_array()) {
    return invalid_field("array", "goes not together with resources.every_worker");
  }
  if (!spec.worker_id().empty()) {
    return invalid_field(
        "worker_id", "\"" + spec.worker_id() + "\" goes not together with resources.every_worker");
  }
  return absl::OkStatus();
}

absl::Status check_times(const v1::JobSpec& spec) {
  if (spec.has_start_at() && spec.has_start_delay()) {
    return invalid_field("start_delay", "goes not together with start_at");
  }
  if (spec.start_at().seconds() < 0 || spec.start_at().seconds() > kLastSecond) {
    return invalid_field("start_at", absl::StrCat(spec.start_at().seconds(),
                                                  " s: allowed are the years 1970 to 9999"));
  }
  if (spec.has_lost_after() && spec.lost_after().seconds() == 0 && spec.lost_after().nanos() == 0) {
    return invalid_field("lost_after", "0s: must be more than 0");
  }
  return absl::OkStatus();
}

absl::Status check_dependencies(const v1::JobSpec& spec) {
  std::set<std::string> seen;
  for (int i = 0; i < spec.after_size(); ++i) {
    const v1::Dependency& dependency = spec.after(i);
    const std::string field = absl::StrCat("after[", i, "]");
    if (dependency.job_id().empty()) return invalid_field(field + ".job_id", "is empty");
    if (!v1::Dependency::On_IsValid(dependency.on())) {
      return invalid_field(field + ".on", absl::StrCat(static_cast<int>(dependency.on()),
                                                       " is none of SUCCESS, ANY and FAILURE"));
    }
    if (!seen.insert(dependency.job_id()).second) {
      return invalid_field(field + ".job_id", "\"" + dependency.job_id() + "\" is named twice");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status check_queueing(const v1::JobSpec& spec) {
  absl::Status status = check_requirements(spec);
  if (status.ok()) status = check_retry(spec.retry());
  if (status.ok()) status = check_tasks(spec);
  if (status.ok()) status = check_times(spec);
  if (status.ok()) status = check_dependencies(spec);
  return status;
}

}  // namespace clusterd
