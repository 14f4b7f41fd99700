#include "cli/run_schedule.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "cli/ask_and_print.h"
#include "cli/describe_schedules.h"
#include "cli/hints.h"
#include "cli/job_spec_builder.h"
#include "core/field_error.h"
#include "core/proto_time.h"

namespace clusterd {
namespace {

constexpr char kSeeSchedules[] = "see `clusterd schedule list`";

template <typename Answer>
absl::StatusOr<Answer> with_schedule_hint(absl::StatusOr<Answer> answer) {
  const bool is_unknown = absl::IsNotFound(answer.status()) && field_of(answer.status()) == "name";
  if (is_unknown) return with_hint(answer.status(), kSeeSchedules);
  return answer;
}

absl::StatusOr<v1::Schedule> build_schedule(const ScheduleCreateCommand& command) {
  v1::Schedule schedule;
  auto spec = build_job_spec(command.start, process_environment());
  if (!spec.ok()) return spec.status();
  *schedule.mutable_spec() = *std::move(spec);
  schedule.set_name(command.name);
  schedule.set_cron(command.cron);
  schedule.set_time_zone(command.time_zone);
  v1::Schedule::Overlap overlap = v1::Schedule::OVERLAP_UNSPECIFIED;
  (void)v1::Schedule::Overlap_Parse(absl::AsciiStrToUpper(command.overlap), &overlap);
  schedule.set_overlap(overlap);
  v1::Schedule::CatchUp catch_up = v1::Schedule::CATCH_UP_UNSPECIFIED;
  (void)v1::Schedule::CatchUp_Parse(absl::AsciiStrToUpper(command.catch_up), &catch_up);
  schedule.set_catch_up(catch_up);
  if (!command.catch_up_within.empty()) {
    const auto within = parse_duration_option("--catch-up-within", command.catch_up_within);
    if (!within.ok()) return within.status();
    *schedule.mutable_catch_up_within() = to_proto(*within);
  }
  schedule.set_catch_up_max(command.catch_up_max);
  schedule.set_paused(command.paused);
  return schedule;
}

absl::StatusOr<v1::Schedule> set_up(const ScheduleCreateCommand& command,
                                    const v1::Schedule& schedule, SchedulerClient& client,
                                    const std::stop_token& stop) {
  if (command.replace) {
    v1::UpdateScheduleRequest request;
    *request.mutable_schedule() = schedule;
    auto changed = client.update_schedule(std::move(request), stop);
    if (!absl::IsNotFound(changed.status())) return changed;
  }
  v1::CreateScheduleRequest request;
  *request.mutable_schedule() = schedule;
  request.set_request_id(command.start.request_id);
  auto created = client.create_schedule(std::move(request), stop);
  const bool is_there =
      absl::IsAlreadyExists(created.status()) && field_of(created.status()) == "name";
  if (is_there) return with_hint(created.status(), "--replace changes it");
  return created;
}

}  // namespace

int run(const ScheduleCreateCommand& command) {
  const auto schedule = build_schedule(command);
  if (!schedule.ok()) return report_error(schedule.status());
  return ask_and_print(
      command.start.client, command.json,
      [&](SchedulerClient& client, const std::stop_token& stop) {
        return set_up(command, *schedule, client, stop);
      },
      [&command](const v1::Schedule& made, const View&) {
        return command.quiet ? made.name() + "\n" : next_time_of(made);
      });
}

int run(const ScheduleListCommand& command) {
  return ask_and_print(
      command.client, command.json,
      [](SchedulerClient& client, const std::stop_token& stop) {
        return client.list_schedules(stop);
      },
      [&command](const v1::ListSchedulesResponse& schedules, const View& view) {
        if (!command.quiet) return describe_schedules(schedules, view);
        std::string names;
        for (const v1::Schedule& schedule : schedules.schedules()) names += schedule.name() + "\n";
        return names;
      });
}

int run(const ScheduleShowCommand& command) {
  v1::GetScheduleRequest request;
  request.set_name(command.name);
  return ask_and_print(
      command.client, command.json,
      [&request](SchedulerClient& client, const std::stop_token& stop) {
        return with_schedule_hint(client.get_schedule(request, stop));
      },
      describe_schedule);
}

int run(const SchedulePauseCommand& command) {
  v1::PauseScheduleRequest request;
  request.set_name(command.name);
  return ask_and_print(
      command.client, command.json,
      [&request](SchedulerClient& client, const std::stop_token& stop) {
        return with_schedule_hint(client.pause_schedule(request, stop));
      },
      [](const v1::Schedule& schedule, const View&) { return next_time_of(schedule); });
}

int run(const ScheduleResumeCommand& command) {
  v1::ResumeScheduleRequest request;
  request.set_name(command.name);
  return ask_and_print(
      command.client, command.json,
      [&request](SchedulerClient& client, const std::stop_token& stop) {
        return with_schedule_hint(client.resume_schedule(request, stop));
      },
      [](const v1::Schedule& schedule, const View&) { return next_time_of(schedule); });
}

int run(const ScheduleDeleteCommand& command) {
  CallerSession session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return report_error(status);
  }
  v1::DeleteScheduleRequest request;
  request.set_name(command.name);
  const absl::Status status = session.client->delete_schedule(request, session.token());
  const bool is_unknown = absl::IsNotFound(status) && field_of(status) == "name";
  return finish(is_unknown ? with_hint(status, kSeeSchedules) : status);
}

int run(const ScheduleTriggerCommand& command) {
  v1::TriggerScheduleRequest request;
  request.set_name(command.name);
  request.set_request_id(command.request_id);
  return ask_and_print(
      command.client, command.json,
      [&request](SchedulerClient& client, const std::stop_token& stop) {
        return with_schedule_hint(client.trigger_schedule(request, stop));
      },
      [](const v1::Job& job, const View&) { return job.job_id() + "\n"; });
}

}  // namespace clusterd
