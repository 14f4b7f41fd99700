#include "scheduler/schedule_check.h"

#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "core/field_error.h"
#include "core/proto_time.h"

namespace clusterd {
namespace {

const WallTime kNow{std::chrono::hours(24 * 365 * 56)};

v1::Schedule sound() {
  v1::Schedule schedule;
  schedule.set_name("Night.ly_1-x");
  schedule.set_cron("30 2 * * mon-fri");
  schedule.set_time_zone("Europe/Berlin");
  schedule.mutable_spec()->set_path("report.sh");
  return schedule;
}

TEST_CASE("a schedule that is sound passes", "[schedules]") {
  v1::Schedule schedule = sound();
  CHECK(check_schedule(schedule, {}, kNow).ok());

  schedule.mutable_catch_up_within()->set_seconds(31 * 86'400);
  schedule.set_catch_up_max(1'000);
  schedule.set_overlap(v1::Schedule::REPLACE);
  schedule.set_catch_up(v1::Schedule::ALL);
  CHECK(check_schedule(schedule, {}, kNow).ok());
}

TEST_CASE("what is wrong with a schedule is told with its field", "[schedules]") {
  struct Fault {
    std::function<void(v1::Schedule&)> make;
    std::string field;
    std::string text;
  };
  const std::vector<Fault> faults = {
      {[](auto& s) { s.set_name(""); }, "name", "1 to 128"},
      {[](auto& s) { s.set_name("a b"); }, "name", "\"a b\""},
      {[](auto& s) { s.set_name(std::string(129, 'x')); }, "name", "1 to 128"},
      {[](auto& s) { s.set_cron("every day"); }, "cron", "2 fields"},
      {[](auto& s) { s.set_cron("0 0 30 2 *"); }, "cron", "never comes"},
      {[](auto& s) { s.set_time_zone("Mars/Olympus"); }, "time_zone", "\"Mars/Olympus\""},
      {[](auto& s) { s.set_overlap(static_cast<v1::Schedule::Overlap>(9)); }, "overlap", "9"},
      {[](auto& s) { s.set_catch_up(static_cast<v1::Schedule::CatchUp>(9)); }, "catch_up", "9"},
      {[](auto& s) { s.mutable_catch_up_within()->set_seconds(-1); }, "catch_up_within", "-1 s"},
      {[](auto& s) { s.mutable_catch_up_within()->set_seconds(31 * 86'400 + 1); },
       "catch_up_within", "31 days"},
      {[](auto& s) { s.set_catch_up_max(1'001); }, "catch_up_max", "1001"},
      {[](auto& s) { s.mutable_spec()->clear_path(); }, "spec.path", "is empty"},
      {[](auto& s) { s.mutable_spec()->set_path("../x"); }, "spec.path", ""},
      {[](auto& s) { s.mutable_spec()->mutable_start_at(); }, "spec.start_at",
       "not for a schedule"},
      {[](auto& s) { s.mutable_spec()->add_after()->set_job_id("1"); }, "spec.after",
       "not for a schedule"},
  };
  for (const Fault& fault : faults) {
    v1::Schedule schedule = sound();
    fault.make(schedule);
    const absl::Status status = check_schedule(schedule, {}, kNow);
    INFO(fault.field << ": " << status);
    CHECK(absl::IsInvalidArgument(status));
    CHECK(field_of(status) == fault.field);
    CHECK(std::string(status.message()).find(fault.text) != std::string::npos);
    CHECK(std::string(status.message()).starts_with(fault.field + ": "));
  }
}

}  // namespace
}  // namespace clusterd
