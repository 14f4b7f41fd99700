#include "scheduler/schedule_check.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/cron.h"
#include "core/field_error.h"
#include "core/job_spec_check.h"
#include "core/proto_time.h"

namespace clusterd {
namespace {

constexpr int64_t kLongestCatchUpSeconds = 31 * 86'400;

absl::Status check_calendar(const v1::Schedule& schedule, WallTime now) {
  const auto cron = Cron::parse(schedule.cron());
  if (!cron.ok()) return cron.status();
  const auto zone = load_time_zone(schedule.time_zone());
  if (!zone.ok()) return zone.status();
  if (cron->next(now, *zone)) return absl::OkStatus();
  return invalid_field(
      "cron", absl::StrCat("\"", schedule.cron(), "\" never comes: no such month has such a day"));
}

absl::Status check_catch_up(const v1::Schedule& schedule) {
  if (!v1::Schedule::Overlap_IsValid(schedule.overlap())) {
    return invalid_field("overlap", absl::StrCat(static_cast<int>(schedule.overlap()),
                                                 " is none of SKIP, QUEUE and REPLACE"));
  }
  if (!v1::Schedule::CatchUp_IsValid(schedule.catch_up())) {
    return invalid_field("catch_up", absl::StrCat(static_cast<int>(schedule.catch_up()),
                                                  " is none of NONE, LAST and ALL"));
  }
  const auto& within = schedule.catch_up_within();
  if (within.seconds() < 0 || within.nanos() < 0 || within.seconds() > kLongestCatchUpSeconds ||
      (within.seconds() == kLongestCatchUpSeconds && within.nanos() > 0)) {
    return invalid_field("catch_up_within",
                         absl::StrCat(within.seconds(), " s are out of range; allowed is 0 s to ",
                                      kLongestCatchUpSeconds, " s (31 days)"));
  }
  if (schedule.catch_up_max() <= kMostCaughtUp) return absl::OkStatus();
  return invalid_field("catch_up_max",
                       absl::StrCat(schedule.catch_up_max(), " is out of range; at most ",
                                    kMostCaughtUp, " are allowed"));
}

// What is about one moment, or one job, means nothing for many.
absl::Status check_repeatable(const v1::JobSpec& spec) {
  if (spec.has_start_at()) {
    return invalid_field("start_at", "is not for a schedule, whose `cron` says when; leave it out");
  }
  if (spec.after().empty()) return absl::OkStatus();
  return invalid_field("after",
                       "is not for a schedule, whose jobs come again and again; leave it out");
}

}  // namespace

absl::Status about_spec(const absl::Status& status) {
  const std::string field = field_of(status);
  if (field.empty()) return status;
  std::string message(status.message());
  const std::string prefix = field + ": ";
  if (message.starts_with(prefix)) message.erase(0, prefix.size());
  return field_error(status.code(), "spec." + field, message);
}

absl::Status check_schedule_name(const std::string& name) {
  const bool is_name = !name.empty() && name.size() <= kMaxScheduleNameBytes &&
                       std::all_of(name.begin(), name.end(), [](char c) {
                         return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
                                c == '_' || c == '-';
                       });
  if (is_name) return absl::OkStatus();
  return invalid_field("name", absl::StrCat("\"", name.substr(0, kMaxScheduleNameBytes),
                                            "\" is not allowed; 1 to ", kMaxScheduleNameBytes,
                                            " of letters, digits, \".\", \"_\" and \"-\" are"));
}

absl::Status check_schedule(const v1::Schedule& schedule, const SchedulerConfig::Scheduling& bounds,
                            WallTime now) {
  absl::Status status = check_schedule_name(schedule.name());
  if (status.ok()) status = check_calendar(schedule, now);
  if (status.ok()) status = check_catch_up(schedule);
  if (!status.ok()) return status;
  const v1::JobSpec& spec = schedule.spec();
  // Where a directed job's script may lie depends on what its worker is.
  status = check_job_spec(
      spec, spec.worker_id().empty() ? ScriptPlace::kBelowScriptsDir : ScriptPlace::kAnywhere);
  if (status.ok()) status = check_job_sizes(spec, bounds);
  if (status.ok()) status = check_repeatable(spec);
  return about_spec(status);
}

}  // namespace clusterd
