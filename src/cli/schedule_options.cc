#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command_families.h"

namespace clusterd {
namespace {

template <typename T>
std::shared_ptr<T> add(CLI::App& schedule, Chosen& chosen, const std::string& name,
                       const std::string& text) {
  CLI::App& app = *schedule.add_subcommand(name, text);
  auto command = std::make_shared<T>();  // shared by the options that fill it and the callback
  app.callback([command, &chosen] { chosen = *command; });
  add_client_options(app, command->client);
  if constexpr (requires { command->name; }) {
    app.add_option("SCHEDULE", command->name, "Its name")->required();
  }
  return command;
}

void add_create(CLI::App& schedule, Chosen& chosen) {
  CLI::App& app = *schedule.add_subcommand(
      "create", "Submit a job whenever the calendar says so; the job as for `job start`.");
  auto command = std::make_shared<ScheduleCreateCommand>();  // as above
  app.callback([command, &chosen] { chosen = *command; });
  app.add_option("SCHEDULE", command->name, "A name for it")->required();
  app.add_option("--cron", command->cron,
                 "\"30 2 * * mon-fri\": minute, hour, day, month, weekday; @hourly, @daily, "
                 "@weekly, @monthly, @yearly")
      ->type_name("EXPR")
      ->required();
  app.add_option("--time-zone", command->time_zone, "Europe/Berlin [UTC]")->type_name("ZONE");
  app.add_option("--overlap", command->overlap, "When its job has not ended [skip]")
      ->check(CLI::IsMember({"skip", "queue", "replace"}));
  app.add_option("--catch-up", command->catch_up,
                 "Which times count that passed while no scheduler was there [last]")
      ->check(CLI::IsMember({"none", "last", "all"}));
  app.add_option("--catch-up-within", command->catch_up_within, "No longer ago than this [1h]")
      ->type_name("TIME");
  app.add_option("--catch-up-max", command->catch_up_max, "With all: at most so many [10]")
      ->check(CLI::Range(1, 1'000))
      ->type_name("N");
  app.add_flag("--paused", command->paused, "Submit nothing until `schedule resume`");
  app.add_flag("--replace", command->replace, "Change the one of that name, where there is one");
  auto* json = app.add_flag("--json", command->json, "Print the schedule as JSON");
  app.add_flag("-q,--quiet", command->quiet, "Print the name only")->excludes(json);
  add_job_options(app, command->start);
}

}  // namespace

void add_schedule_commands(CLI::App& app, Chosen& chosen) {
  CLI::App& schedule = *app.add_subcommand("schedule", "Jobs that come again and again.");
  schedule.require_subcommand(1);
  add_create(schedule, chosen);

  const auto list = add<ScheduleListCommand>(schedule, chosen, "list", "All schedules.");
  CLI::App& list_app = *schedule.get_subcommand("list");
  auto* json = list_app.add_flag("--json", list->json, "Print one JSON document");
  list_app.add_flag("-q,--quiet", list->quiet, "Print names only")->excludes(json);

  const auto show =
      add<ScheduleShowCommand>(schedule, chosen, "show", "One schedule and its next times.");
  schedule.get_subcommand("show")->add_flag("--json", show->json, "Print one JSON document");

  const auto pause =
      add<SchedulePauseCommand>(schedule, chosen, "pause", "Submit nothing until it is resumed.");
  schedule.get_subcommand("pause")->add_flag("--json", pause->json, "Print one JSON document");

  const auto resume = add<ScheduleResumeCommand>(schedule, chosen, "resume",
                                                 "Go on; what has passed is not made up for.");
  schedule.get_subcommand("resume")->add_flag("--json", resume->json, "Print one JSON document");

  (void)add<ScheduleDeleteCommand>(schedule, chosen, "delete", "Forget it; its jobs stay.");

  const auto trigger = add<ScheduleTriggerCommand>(schedule, chosen, "trigger",
                                                   "Submit its job now and print the job's id.");
  CLI::App& trigger_app = *schedule.get_subcommand("trigger");
  trigger_app.add_option("--request-id", trigger->request_id, "Repeated, it is the same job")
      ->type_name("ID");
  trigger_app.add_flag("--json", trigger->json, "Print the job as JSON");
}

}  // namespace clusterd
