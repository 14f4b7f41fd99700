#include "cli/describe_schedules.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/table.h"
#include "core/cron.h"
#include "core/proto_time.h"

namespace clusterd {
namespace {

using google::protobuf::Timestamp;

std::string local_time(const Timestamp& time, const v1::Schedule& schedule) {
  const auto zone = load_time_zone(schedule.time_zone());
  return absl::FormatTime("%Y-%m-%dT%H:%M:%S%Ez", absl::FromChrono(from_proto(time)),
                          zone.ok() ? *zone : absl::UTCTimeZone());
}

std::string in_or_ago(const Timestamp& time, const View& view) {
  const std::chrono::nanoseconds left = from_proto(time) - view.now;
  return left.count() >= 0 ? "in " + in_short(left) : in_short(-left) + " ago";
}

std::string short_time(const Timestamp& time, const v1::Schedule& schedule, const View& view) {
  return view.terminal.columns ? in_or_ago(time, view) : local_time(time, schedule);
}

std::string long_time(const Timestamp& time, const v1::Schedule& schedule, const View& view) {
  return local_time(time, schedule) + " (" + in_or_ago(time, view) + ")";
}

std::string next_of(const v1::Schedule& schedule, const View& view) {
  if (schedule.paused() || schedule.next_times().empty()) return "-";
  return short_time(schedule.next_times(0), schedule, view);
}

std::string zone_of(const v1::Schedule& schedule) {
  return schedule.time_zone().empty() ? "UTC" : printable(schedule.time_zone());
}

std::string command_of(const v1::JobSpec& spec) {
  std::string text = spec.command();
  if (!spec.path().empty()) text += (text.empty() ? "" : " ") + spec.path();
  for (const std::string& argument : spec.args()) text += " " + argument;
  return printable(text);
}

// "SKIP" for what was not said.
std::string overlap_of(const v1::Schedule& schedule) {
  const auto overlap = schedule.overlap() == v1::Schedule::OVERLAP_UNSPECIFIED ? v1::Schedule::SKIP
                                                                               : schedule.overlap();
  return absl::AsciiStrToLower(v1::Schedule::Overlap_Name(overlap));
}

std::string catch_up_of(const v1::Schedule& schedule) {
  const auto catch_up = schedule.catch_up() == v1::Schedule::CATCH_UP_UNSPECIFIED
                            ? v1::Schedule::LAST
                            : schedule.catch_up();
  std::string text = absl::AsciiStrToLower(v1::Schedule::CatchUp_Name(catch_up));
  if (catch_up == v1::Schedule::NONE) return text;
  const auto within = schedule.has_catch_up_within()
                          ? from_proto(schedule.catch_up_within())
                          : std::chrono::nanoseconds(std::chrono::hours(1));
  return text + " within " + in_short(within);
}

}  // namespace

std::string describe_schedule(const v1::Schedule& schedule, const View& view) {
  Table table;
  table.add({"name", schedule.name()});
  table.add({"cron", schedule.cron()});
  table.add({"time zone", zone_of(schedule)});
  table.add({"command", command_of(schedule.spec())});
  if (!schedule.spec().worker_id().empty()) table.add({"worker", schedule.spec().worker_id()});
  table.add({"overlap", overlap_of(schedule)});
  table.add({"catch up", catch_up_of(schedule)});
  if (schedule.paused()) table.add({"paused", "yes"});
  if (schedule.has_create_time()) {
    const std::string who = schedule.created_by().empty() ? "" : " by " + schedule.created_by();
    table.add({"created", long_time(schedule.create_time(), schedule, view) + who});
  }
  table.add({"jobs", std::to_string(schedule.runs())});
  table.add({"skipped", std::to_string(schedule.skipped())});
  if (schedule.has_last_time()) {
    table.add({"last time", long_time(schedule.last_time(), schedule, view)});
  }
  if (!schedule.last_job_id().empty()) table.add({"last job", schedule.last_job_id()});
  if (!schedule.message().empty()) table.add({"note", schedule.message()});
  for (const Timestamp& time : schedule.next_times()) {
    table.add({schedule.paused() ? "would come" : "next", long_time(time, schedule, view)});
  }
  return table.text({.columns = std::nullopt, .colours = view.terminal.colours});
}

std::string describe_schedules(const v1::ListSchedulesResponse& schedules, const View& view) {
  Table table;
  table.add(
      {"NAME", "CRON", "TIME_ZONE", "STATE", "NEXT", "JOBS", "SKIPPED", "LAST_JOB", "COMMAND"});
  for (const v1::Schedule& schedule : schedules.schedules()) {
    table.add({schedule.name(), schedule.cron(), zone_of(schedule),
               schedule.paused() ? Table::Cell("paused", Table::Colour::kFaint)
                                 : Table::Cell("active", Table::Colour::kGood),
               next_of(schedule, view), std::to_string(schedule.runs()),
               std::to_string(schedule.skipped()),
               schedule.last_job_id().empty() ? "-" : schedule.last_job_id(),
               command_of(schedule.spec())});
  }
  return table.text(view.terminal);
}

std::string next_time_of(const v1::Schedule& schedule) {
  const std::string name = printable(schedule.name());
  if (schedule.paused()) return name + ": paused\n";
  if (schedule.next_times().empty()) return name + ": never comes again\n";
  return absl::StrCat(name, ": next at ", local_time(schedule.next_times(0), schedule), "\n");
}

}  // namespace clusterd
