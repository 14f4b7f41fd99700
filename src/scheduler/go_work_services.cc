#include "scheduler/go_work_services.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/ids.h"
#include "core/job_spec_check.h"
#include "core/log.h"
#include "core/worker_protocol.h"
#include "rpc/grpc_status.h"
#include "scheduler/call_back_address.h"
#include "scheduler/unary_call.h"

namespace clusterd {
namespace {

using ::scheduler::v1::Task;
namespace tasks = ::scheduler::v1;
namespace members = ::cluster::v1;

constexpr uint16_t kDefaultWorkerPort = 40041;
constexpr size_t kMaxIdBytes = 256;
constexpr const char* kQueue = "go-work";
constexpr int32_t kMediumPriority = 100;
constexpr int32_t kHighPriority = 200;
// A client takes messages of 4 MiB unless it says otherwise.
constexpr size_t kMaxAnswerBytes = (4U << 20) - (4U << 10);
constexpr size_t kFieldOverhead = 6;  // tag and length
constexpr uint32_t kPageSize = 1000;

grpc::ServerUnaryReactor* bad(grpc::CallbackServerContext* context, const std::string& text) {
  return refuse(context, absl::InvalidArgumentError(text));
}

grpc::ServerUnaryReactor* bad(grpc::CallbackServerContext* context, AuditedCall& audited,
                              const std::string& text) {
  return refuse(context, audited, absl::InvalidArgumentError(text));
}

// What does not exist is bad input to these services.
absl::Status task_status(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::InvalidArgumentError("task not found") : status;
}

int32_t to_priority(const Task& task) {
  switch (task.priority()) {
    case tasks::TASK_PRIORITY_HIGH:
      return kHighPriority;
    case tasks::TASK_PRIORITY_MEDIUM:
      return kMediumPriority;
    default:
      return 0;
  }
}

tasks::TaskPriority from_priority(int32_t priority) {
  if (priority >= kHighPriority) return tasks::TASK_PRIORITY_HIGH;
  return priority >= kMediumPriority ? tasks::TASK_PRIORITY_MEDIUM : tasks::TASK_PRIORITY_LOW;
}

// A cancel is final for those who asked for it, whatever the job came to.
tasks::TaskStatus status_of(const v1::Job& job) {
  if (job.has_stop_requested()) return tasks::TASK_STATUS_CANCELLED;
  switch (job.state()) {
    case v1::Job::QUEUED:
      return tasks::TASK_STATUS_PENDING;
    case v1::Job::STARTING:
    case v1::Job::RUNNING:
      return tasks::TASK_STATUS_RUNNING;
    case v1::Job::SUCCEEDED:
      return tasks::TASK_STATUS_COMPLETED;
    case v1::Job::STOPPED:
      return tasks::TASK_STATUS_CANCELLED;
    default:
      return tasks::TASK_STATUS_ERROR;
  }
}

Task to_task(const v1::Job& job) {
  Task task;
  task.set_id(job.external_id().empty() ? job.job_id() : job.external_id());
  task.set_payload(payload_of(job.spec()));
  task.set_priority(from_priority(job.spec().priority()));
  task.set_status(status_of(job));
  return task;
}

// Of a worker that sends no heartbeats of that kind.
std::string status_text(const v1::Worker& worker) {
  if (worker.state() != v1::Worker::ALIVE) return "left, unknown";
  const bool takes_jobs = !worker.draining() && worker.in_use().slots() < worker.capacity().slots();
  return takes_jobs ? "alive, idle" : "alive, busy";
}

std::string name_of(const Identity& caller) {
  return caller.is_anonymous() ? "grpc" : caller.text();
}

// With certificates a worker speaks for itself alone.
absl::Status check_member(const Identity& caller, const std::string& id) {
  if (caller.is_anonymous() || caller.name == id) return absl::OkStatus();
  return absl::PermissionDeniedError(caller.text() + " is not the member \"" + id + "\"");
}

std::optional<OriginalStatus> to_status(members::HeartbeatStatus status) {
  switch (status) {
    case members::HEARTBEAT_STATUS_IDLE:
      return OriginalStatus::kIdle;
    case members::HEARTBEAT_STATUS_BUSY:
      return OriginalStatus::kBusy;
    case members::HEARTBEAT_STATUS_FAILED:
      return OriginalStatus::kFailed;
    default:
      return std::nullopt;
  }
}

}  // namespace

grpc::ServerUnaryReactor* GoWorkLeaderService::Join(grpc::CallbackServerContext* context,
                                                    const members::JoinRequest* request,
                                                    members::JoinResponse* /*response*/) {
  auto audited =
      access_.admit_change(*context, "/cluster.v1.LeaderService/Join", {.worker_id = request->id()},
                           AuditTrail::OnFailure::kContinue);
  if (!audited.ok()) return refuse(context, audited.status());
  if (request->id().empty()) return bad(context, *audited, "id required");
  if (request->address().empty()) return bad(context, *audited, "address required");
  if (const auto own = check_member(audited->caller(), request->id()); !own.ok()) {
    return refuse(context, *audited, own);
  }
  if (request->id().size() > kMaxIdBytes)
    return bad(context, *audited, "id has more than 256 bytes");
  const auto address = call_back_address(request->address(), context->peer(), kDefaultWorkerPort);
  if (!address.ok()) return refuse(context, *audited, address.status());
  OriginalOrder order{.protocol = v1::Worker::GO_WORK,
                      .name = request->id(),
                      .address = *address,
                      .fresh_worker_id = new_uuid_v4()};
  auto* reactor = context->DefaultReactor();
  app_.call(
      [reactor, audited = *std::move(audited)](const absl::StatusOr<Answer>& answer) mutable {
        audited.end(answer.status());
        reactor->Finish(to_grpc(answer.status()));
      },
      [order = std::move(order)](Scheduler& scheduler, CallId call, Now now) {
        return scheduler.register_original(call, order, now);
      });
  return reactor;
}

grpc::ServerUnaryReactor* GoWorkLeaderService::Leave(grpc::CallbackServerContext* context,
                                                     const members::LeaveRequest* request,
                                                     members::LeaveResponse* /*response*/) {
  auto audited =
      access_.admit_change(*context, "/cluster.v1.LeaderService/Leave",
                           {.worker_id = request->id()}, AuditTrail::OnFailure::kContinue);
  if (!audited.ok()) return refuse(context, audited.status());
  if (request->id().empty()) return bad(context, *audited, "id required");
  if (const auto own = check_member(audited->caller(), request->id()); !own.ok()) {
    return refuse(context, *audited, own);
  }
  auto* reactor = context->DefaultReactor();
  app_.call(
      [reactor, audited = *std::move(audited)](const absl::StatusOr<Answer>& answer) mutable {
        audited.end(answer.status());
        const bool unknown = absl::IsNotFound(answer.status());
        reactor->Finish(
            to_grpc(unknown ? absl::InternalError("failed to remove member: member not found")
                            : answer.status()));
      },
      [id = request->id()](Scheduler& scheduler, CallId call, Now now) {
        return scheduler.leave_original(call, v1::Worker::GO_WORK, id, now);
      });
  return reactor;
}

grpc::ServerUnaryReactor* GoWorkLeaderService::Members(grpc::CallbackServerContext* context,
                                                       const members::MembersRequest* /*request*/,
                                                       members::MembersResponse* response) {
  const auto caller = access_.admit(*context, "/cluster.v1.LeaderService/Members");
  if (!caller.ok()) return refuse(context, caller.status());
  auto* reactor = context->DefaultReactor();
  app_.with_term([this, reactor, response](Term* term) {
    if (term == nullptr) {
      return reactor->Finish(to_grpc(absl::UnavailableError("the scheduler is not ready")));
    }
    term->call(
        app_.next_id(),
        [reactor, response, term](const absl::StatusOr<Answer>& answer) {
          if (answer.ok()) {  // else the term may be over
            for (const v1::Worker& worker : std::get<v1::ListWorkersResponse>(*answer).workers()) {
              const std::string said = term->originals().member_status(worker.worker_id());
              members::Member& member = *response->add_members();
              member.set_id(worker.name());
              member.set_address(worker.address());
              member.set_status(worker.protocol() == v1::Worker::GO_WORK && !said.empty()
                                    ? said
                                    : status_text(worker));
            }
          }
          reactor->Finish(to_grpc(answer.status()));
        },
        [](Scheduler& scheduler, CallId call, Now) {
          return scheduler.list_workers(call, v1::ListWorkersRequest());
        });
  });
  return reactor;
}

grpc::ServerUnaryReactor* GoWorkLeaderService::Heartbeat(grpc::CallbackServerContext* context,
                                                         const members::HeartbeatRequest* request,
                                                         members::HeartbeatResponse* /*response*/) {
  const auto caller = access_.admit(*context, "/cluster.v1.LeaderService/Heartbeat");
  if (!caller.ok()) return refuse(context, caller.status());
  if (request->id().empty()) return bad(context, "id required");
  if (const auto own = check_member(*caller, request->id()); !own.ok()) {
    return refuse(context, own);
  }
  if (request->status() == members::HEARTBEAT_STATUS_UNSPECIFIED) {
    return bad(context, "UNSPECIFIED is an invalid status");
  }
  const auto status = to_status(request->status());
  if (!status) return bad(context, "invalid status");
  auto* reactor = context->DefaultReactor();
  app_.with_term([reactor, id = request->id(), status = *status](Term* term) {
    absl::Status result = absl::UnavailableError("the scheduler is not ready");
    if (term != nullptr) {
      const std::string worker_id = term->scheduler().go_work_member(id);
      result = worker_id.empty() ? absl::NotFoundError("member not found")
                                 : term->originals().heard(worker_id, status);
    }
    reactor->Finish(to_grpc(result));
  });
  return reactor;
}

grpc::ServerUnaryReactor* GoWorkSchedulerService::ScheduleTask(
    grpc::CallbackServerContext* context, const tasks::ScheduleTaskRequest* request,
    tasks::ScheduleTaskResponse* /*response*/) {
  auto audited = access_.admit_change(*context, "/scheduler.v1.SchedulerService/ScheduleTask",
                                      {.job_id = request->task().id()});
  if (!audited.ok()) return refuse(context, audited.status());
  if (!request->has_task()) return bad(context, *audited, "task required");
  const Task& task = request->task();
  if (task.id().empty()) return bad(context, *audited, "task id required");
  if (task.payload().empty()) return bad(context, *audited, "task payload required");
  if (task.id().size() > kMaxIdBytes)
    return bad(context, *audited, "task id has more than 256 bytes");
  // What is no command line of ours may be one of a go-work worker's.
  const auto parsed = spec_of_payload(task.payload(), app_.config().compat.task_script);
  SubmitOrder order{.job_id = new_uuid_v7(app_.clock().now().wall),
                    .spec = parsed.value_or(v1::JobSpec()),
                    .submitted_by = name_of(audited->caller())};
  order.external_id = task.id();
  order.spec.set_payload(task.payload());
  order.spec.set_queue(kQueue);
  order.spec.set_priority(to_priority(task));
  absl::Status status = check_job_spec(order.spec);
  if (status.ok()) status = check_job_sizes(order.spec, app_.config().scheduling);
  if (status.ok()) status = check_record_size(order.spec, app_.config().store);
  if (status.ok()) status = app_.check_disk();
  if (!status.ok()) return refuse(context, *audited, status);
  auto* reactor = context->DefaultReactor();
  app_.call(
      [reactor, id = task.id(), parsed = parsed.status(),
       audited = *std::move(audited)](const absl::StatusOr<Answer>& answer) mutable {
        absl::Status ended = answer.status();
        if (absl::IsAlreadyExists(ended)) {
          ended = absl::AlreadyExistsError("task already exists: " + id);
        } else if (absl::IsInvalidArgument(ended) && !parsed.ok()) {
          ended = parsed;  // there is nobody to understand it
        }
        audited.end(ended);
        reactor->Finish(to_grpc(ended));
      },
      [order = std::move(order)](Scheduler& scheduler, CallId call, Now now) mutable {
        return scheduler.submit(call, std::move(order), now);
      });
  return reactor;
}

grpc::ServerUnaryReactor* GoWorkSchedulerService::CancelTask(
    grpc::CallbackServerContext* context, const tasks::CancelTaskRequest* request,
    tasks::CancelTaskResponse* /*response*/) {
  auto audited = access_.admit_change(*context, "/scheduler.v1.SchedulerService/CancelTask",
                                      {.job_id = request->id()});
  if (!audited.ok()) return refuse(context, audited.status());
  if (request->id().empty()) return bad(context, *audited, "task id required");
  auto* reactor = context->DefaultReactor();
  std::string who = name_of(audited->caller());
  app_.call(
      [reactor, audited = *std::move(audited)](const absl::StatusOr<Answer>& answer) mutable {
        audited.end(answer.status());
        reactor->Finish(to_grpc(task_status(answer.status())));
      },
      [id = request->id(), who = std::move(who)](Scheduler& scheduler, CallId call, Now now) {
        return scheduler.cancel_task(call, id, who, now);
      });
  return reactor;
}

grpc::ServerUnaryReactor* GoWorkSchedulerService::GetTasks(
    grpc::CallbackServerContext* context, const tasks::GetTasksRequest* /*request*/,
    tasks::GetTasksResponse* response) {
  const auto caller = access_.admit(*context, "/scheduler.v1.SchedulerService/GetTasks");
  if (!caller.ok()) return refuse(context, caller.status());
  auto* reactor = context->DefaultReactor();
  app_.read([this, reactor, response] {
    absl::Status status = read_tasks(*response);
    status.Update(app_.check_office());
    reactor->Finish(to_grpc(status));
  });
  return reactor;
}

absl::Status GoWorkSchedulerService::read_tasks(tasks::GetTasksResponse& response) {
  v1::ListJobsRequest page;
  page.set_queue(kQueue);
  page.set_page_size(kPageSize);
  size_t bytes = 0;
  do {
    const auto jobs = app_.store().list_jobs(page);
    if (!jobs.ok()) return jobs.status();
    for (const v1::Job& job : jobs->jobs()) {
      Task task = to_task(job);
      bytes += task.ByteSizeLong() + kFieldOverhead;
      if (bytes > kMaxAnswerBytes) {
        log_warning("scheduler", "GetTasks tells of the newest tasks only: more do not fit",
                    {{"tasks", response.tasks_size()}});
        return absl::OkStatus();
      }
      *response.add_tasks() = std::move(task);
    }
    page.set_page_token(jobs->next_page_token());
  } while (!page.page_token().empty());
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* GoWorkSchedulerService::TaskComplete(
    grpc::CallbackServerContext* context, const tasks::TaskCompleteRequest* request,
    tasks::TaskCompleteResponse* /*response*/) {
  auto admitted = access_.admit_change(*context, "/scheduler.v1.SchedulerService/TaskComplete",
                                       {.job_id = request->id()}, AuditTrail::OnFailure::kContinue);
  if (!admitted.ok()) return refuse(context, admitted.status());
  if (request->id().empty()) return bad(context, *admitted, "task id required");
  const auto audited = std::make_shared<AuditedCall>(*std::move(admitted));
  std::optional<std::string> error;
  if (request->has_error()) error = request->error();
  auto* reactor = context->DefaultReactor();
  app_.call(
      [reactor, audited](const absl::StatusOr<Answer>& answer) {
        audited->end(answer.status());
        reactor->Finish(to_grpc(task_status(answer.status())));
      },
      [id = request->id(), error](Scheduler& scheduler, CallId call, Now now) {
        return scheduler.complete_task(call, id, error, now);
      });
  return reactor;
}

}  // namespace clusterd
