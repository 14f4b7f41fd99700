// The command lines about schedules: what belongs to the schedule and what to its job.
#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>
#include <string>
#include <variant>
#include <vector>

#include "cli/command_families.h"
#include "cli/command_line.h"
#include "cli/describe_schedules.h"
#include "cli/exit_codes.h"

namespace clusterd {
namespace {

using Words = std::vector<std::string>;

ScheduleCreateCommand created(const Words& words) {
  const auto command = parse_command_line(words);
  INFO(command.status());
  REQUIRE(command.ok());
  return std::get<ScheduleCreateCommand>(*command);
}

TEST_CASE("what stands behind the script of a schedule is the job's", "[schedule_commands]") {
  const auto command =
      created({"schedule", "create", "--cron", "30 2 * * *", "nightly", "--time-zone=Asia/Kolkata",
               "--overlap", "queue", "--env", "A=b", "report.sh", "--cron", "-q", "last"});

  CHECK(command.name == "nightly");
  CHECK(command.cron == "30 2 * * *");
  CHECK(command.time_zone == "Asia/Kolkata");
  CHECK(command.overlap == "queue");
  CHECK_FALSE(command.quiet);
  CHECK(command.start.target == "report.sh");
  CHECK(command.start.env == Words{"A=b"});
  CHECK(command.start.args == Words{"--cron", "-q", "last"});
}

TEST_CASE("a schedule of a program names it behind its own name", "[schedule_commands]") {
  const auto command = created(
      {"schedule", "create", "nightly", "--cron", "@daily", "--program", "ffmpeg", "-i", "x"});

  CHECK(command.name == "nightly");
  CHECK(command.start.is_program);
  CHECK(command.start.target == "ffmpeg");
  CHECK(command.start.args == Words{"-i", "x"});
}

TEST_CASE("a schedule without a calendar, a name or a script is bad usage", "[schedule_commands]") {
  for (const Words& words :
       {Words{"schedule", "create", "nightly", "report.sh"},
        Words{"schedule", "create", "--cron", "@daily", "nightly"},
        Words{"schedule", "create", "--cron", "@daily"},
        Words{"schedule", "create", "n", "--cron", "@daily", "--catch-up", "some", "report.sh"},
        Words{"schedule", "create", "n", "--cron", "@daily", "--catch-up-max", "0", "report.sh"},
        Words{"schedule", "create", "n", "--cron", "@daily", "--json", "--quiet", "report.sh"},
        Words{"schedule", "show"}, Words{"schedule"}}) {
    CAPTURE(words);
    const auto command = parse_command_line(words);
    REQUIRE_FALSE(command.ok());
    CHECK(exit_code_of(command.status()) == kExitUsage);
  }
}

TEST_CASE("names of schedules are completed from the cluster", "[schedule_commands]") {
  CLI::App app("", "clusterd");
  Chosen chosen;
  add_all_commands(app, chosen);

  CHECK(complete(app, {"schedule", "show", ""}).live == Completion::Live::kSchedules);
  CHECK(complete(app, {"schedule", "create", "n", "--cron", "@daily", ""}).live ==
        Completion::Live::kScripts);
  const Completion of_job = complete(app, {"schedule", "create", "n", "report.sh", "--cr"});
  CHECK(of_job.paths == Completion::Paths::kFiles);
  CHECK(of_job.candidates.empty());
}

TEST_CASE("a schedule is shown in the time of its zone", "[schedule_commands]") {
  v1::Schedule schedule;
  schedule.set_name("nightly");
  schedule.set_cron("30 2 * * *");
  schedule.set_time_zone("Europe/Berlin");
  schedule.mutable_spec()->set_path("report.sh");
  schedule.set_message("job 1 had not ended");
  schedule.add_next_times()->set_seconds(1'767'576'600);  // 2026-01-05T01:30:00Z
  const View view{
      .terminal = {}, .now = WallTime(std::chrono::seconds(1'767'571'200)), .names = {}};

  CHECK(next_time_of(schedule) == "nightly: next at 2026-01-05T02:30:00+01:00\n");
  const std::string text = describe_schedule(schedule, view);
  CAPTURE(text);
  CHECK(text.find("2026-01-05T02:30:00+01:00 (in 1h 30m)") != std::string::npos);
  CHECK(text.find("job 1 had not ended") != std::string::npos);
  CHECK(text.find("skip\n") != std::string::npos);
  CHECK(text.find("last within 1h\n") != std::string::npos);
  schedule.set_paused(true);
  CHECK(next_time_of(schedule) == "nightly: paused\n");
  v1::ListSchedulesResponse all;
  *all.add_schedules() = schedule;
  CHECK(describe_schedules(all, view).find("paused") != std::string::npos);
}

}  // namespace
}  // namespace clusterd
