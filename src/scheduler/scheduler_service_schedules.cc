// The public service's calls about schedules.

#include <functional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "core/ids.h"
#include "core/job_spec_check.h"
#include "core/sha256.h"
#include "scheduler/keyed_call.h"
#include "scheduler/schedule_check.h"
#include "scheduler/scheduler_service.h"
#include "scheduler/unary_call.h"

namespace clusterd {
namespace {

AuditSubject about(const std::string& name, const std::string& request_id) {
  return {.request_id = request_id, .name = name};
}

AuditSubject about(const v1::Schedule& schedule, const std::string& request_id) {
  const v1::JobSpec& spec = schedule.spec();
  return {.worker_id = spec.worker_id(),
          .request_id = request_id,
          .script = spec.path().empty() ? spec.command() : spec.path(),
          .name = schedule.name()};
}

ScheduleOrder order_of(const v1::Schedule& schedule, std::string who, RequestKey request) {
  ScheduleOrder order{.schedule = schedule, .who = std::move(who), .request = std::move(request)};
  v1::JobSpec& spec = *order.schedule.mutable_spec();
  if (spec.has_script()) {
    spec.mutable_script()->set_sha256(absl::BytesToHexString(sha256(spec.script().content())));
  }
  return order;
}

}  // namespace

absl::Status SchedulerServiceImpl::check(const v1::Schedule& schedule,
                                         const std::string& request_id) {
  absl::Status status = check_schedule(schedule, app_.config().scheduling, app_.clock().now().wall);
  if (status.ok()) status = check_record_size(schedule.spec(), app_.config().store);
  if (status.ok()) status = check_request_id(request_id);
  if (status.ok()) status = app_.check_disk();
  return status;
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::CreateSchedule(
    grpc::CallbackServerContext* context, const v1::CreateScheduleRequest* request,
    v1::Schedule* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/CreateSchedule",
                                   about(request->schedule(), request->request_id()));
  if (!call.ok()) return refuse(context, call.status());
  const absl::Status status = check(request->schedule(), request->request_id());
  if (!status.ok()) return refuse(context, *call, status);
  ScheduleOrder order = order_of(request->schedule(), name_of(call->caller()),
                                 key_of(call->caller(), "CreateSchedule", *request));
  return start_unary_call(
      app_, response,
      [order = std::move(order)](Scheduler& scheduler, CallId id, Now now) mutable {
        return scheduler.create_schedule(id, std::move(order), now);
      },
      *std::move(call));
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::UpdateSchedule(
    grpc::CallbackServerContext* context, const v1::UpdateScheduleRequest* request,
    v1::Schedule* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/UpdateSchedule",
                                   about(request->schedule(), request->request_id()));
  if (!call.ok()) return refuse(context, call.status());
  const absl::Status status = check(request->schedule(), request->request_id());
  if (!status.ok()) return refuse(context, *call, status);
  ScheduleOrder order = order_of(request->schedule(), name_of(call->caller()),
                                 key_of(call->caller(), "UpdateSchedule", *request));
  return start_unary_call(
      app_, response,
      [order = std::move(order)](Scheduler& scheduler, CallId id, Now now) mutable {
        return scheduler.update_schedule(id, std::move(order), now);
      },
      *std::move(call));
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::ListSchedules(
    grpc::CallbackServerContext* context, const v1::ListSchedulesRequest* request,
    v1::ListSchedulesResponse* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/ListSchedules");
  if (!caller.ok()) return refuse(context, caller.status());
  (void)request;
  return start_unary_call(app_, response, [](Scheduler& scheduler, CallId call, Now now) {
    return scheduler.list_schedules(call, now);
  });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::GetSchedule(grpc::CallbackServerContext* context,
                                                            const v1::GetScheduleRequest* request,
                                                            v1::Schedule* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/GetSchedule");
  if (!caller.ok()) return refuse(context, caller.status());
  return start_unary_call(app_, response,
                          [name = request->name()](Scheduler& scheduler, CallId call, Now now) {
                            return scheduler.get_schedule(call, name, now);
                          });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::PauseSchedule(
    grpc::CallbackServerContext* context, const v1::PauseScheduleRequest* request,
    v1::Schedule* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/PauseSchedule",
                                   about(request->name(), request->request_id()));
  if (!call.ok()) return refuse(context, call.status());
  return start_keyed_call(context, *std::move(call), "PauseSchedule", *request, response,
                          std::mem_fn(&Scheduler::pause_schedule));
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::ResumeSchedule(
    grpc::CallbackServerContext* context, const v1::ResumeScheduleRequest* request,
    v1::Schedule* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/ResumeSchedule",
                                   about(request->name(), request->request_id()));
  if (!call.ok()) return refuse(context, call.status());
  return start_keyed_call(context, *std::move(call), "ResumeSchedule", *request, response,
                          std::mem_fn(&Scheduler::resume_schedule));
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::TriggerSchedule(
    grpc::CallbackServerContext* context, const v1::TriggerScheduleRequest* request,
    v1::Job* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/TriggerSchedule",
                                   about(request->name(), request->request_id()));
  if (!call.ok()) return refuse(context, call.status());
  if (const absl::Status status = app_.check_disk(); !status.ok()) {
    return refuse(context, *call, status);
  }
  return start_keyed_call(
      context, *std::move(call), "TriggerSchedule", *request, response,
      [job_id = new_uuid_v7(app_.clock().now().wall)](Scheduler& scheduler, CallId id,
                                                      const v1::TriggerScheduleRequest& asked,
                                                      const RequestKey& key, Now now) {
        return scheduler.trigger_schedule(id, asked, job_id, key, now);
      });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::DeleteSchedule(
    grpc::CallbackServerContext* context, const v1::DeleteScheduleRequest* request,
    v1::DeleteScheduleResponse* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/DeleteSchedule",
                                   about(request->name(), request->request_id()));
  if (!call.ok()) return refuse(context, call.status());
  return start_keyed_call(context, *std::move(call), "DeleteSchedule", *request, response,
                          std::mem_fn(&Scheduler::delete_schedule));
}

}  // namespace clusterd
