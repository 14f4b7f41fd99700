#include "scheduler/scheduler_service.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/ids.h"
#include "core/job_spec_check.h"
#include "core/job_view.h"
#include "core/proto_time.h"
#include "core/signal_names.h"
#include "core/trace_context.h"
#include "rpc/grpc_status.h"
#include "rpc/server_time.h"
#include "scheduler/event_relay.h"
#include "scheduler/job_selection_check.h"
#include "scheduler/keyed_call.h"
#include "scheduler/list_progress.h"
#include "scheduler/output_relay.h"
#include "scheduler/unary_call.h"
#include "scheduler/wait_jobs_call.h"

namespace clusterd {
namespace {

constexpr size_t kMaxExternalIdBytes = 256;
constexpr int kMaxJobsWaitedFor = 1000;

absl::Status check_external_id(const std::string& external_id) {
  if (external_id.size() > kMaxExternalIdBytes) {
    return invalid_field("external_id", absl::StrCat("has ", external_id.size(), " bytes, at most ",
                                                     kMaxExternalIdBytes, " are allowed"));
  }
  if (external_id.find('\0') == std::string::npos) return absl::OkStatus();
  return invalid_field("external_id", "contains a NUL byte, which is not allowed");
}

// An absent one is 0.
absl::Status check_duration(const char* field, const google::protobuf::Duration& duration) {
  if (from_proto(duration).count() >= 0) return absl::OkStatus();
  return invalid_field(field, "a negative duration is not allowed, 0 is the least");
}

absl::Status check_labels(const v1::ListJobsRequest& request) {
  for (const std::string& label : request.label()) {
    if (label.empty() || label[0] == '=') {
      return invalid_field("label",
                           "\"" + label + "\" names no label; NAME or NAME=VALUE is expected");
    }
  }
  return absl::OkStatus();
}

void hide_values(v1::ListJobsResponse& page) {
  for (v1::Job& job : *page.mutable_jobs()) {
    hide_contents(job);
  }
}

// What a caller is told of itself. Schedulers and workers may read.
v1::Caller shown(const Identity& identity) {
  v1::Caller caller;
  caller.set_name(identity.name);
  caller.set_role(identity.role == Role::kAdmin      ? v1::Caller::ADMIN
                  : identity.role == Role::kOperator ? v1::Caller::OPERATOR
                                                     : v1::Caller::READER);
  return caller;
}

// What the decider does not know.
void add_members(const std::vector<v1::SchedulerMember>& members, Decision& answer) {
  for (Effect& effect : answer.effects) {
    auto* reply = std::get_if<Reply>(&effect);
    if (reply == nullptr || !reply->answer.ok()) continue;
    std::get<v1::Cluster>(*reply->answer)
        .mutable_schedulers()
        ->Assign(members.begin(), members.end());
  }
}

std::string metadata_of(const grpc::CallbackServerContext& context, const char* key) {
  const auto found = context.client_metadata().find(key);
  if (found == context.client_metadata().end()) return "";
  return std::string(found->second.data(), found->second.size());
}

// What of a request may stand in the audit.
template <typename Request>
AuditSubject subject_of(const Request& request) {
  AuditSubject subject{.request_id = request.request_id()};
  if constexpr (requires { request.job_id(); }) subject.job_id = request.job_id();
  if constexpr (requires { request.worker_id(); }) subject.worker_id = request.worker_id();
  if constexpr (requires { request.selection(); }) {
    subject.selection = text_of(request.selection());
    if (request.dry_run()) subject.selection += " (dry run)";
  }
  if constexpr (requires { request.spec(); }) {
    const v1::JobSpec& spec = request.spec();
    subject.worker_id = spec.worker_id();
    subject.script = spec.path().empty() ? spec.command() : spec.path();
  }
  return subject;
}

// Passes a question on to a worker that may hang: ends at once when its caller goes away.
class ScriptsCall final : public grpc::ServerUnaryReactor {
 public:
  ScriptsCall(SchedulerApp& app, const v1::ListScriptsRequest& request,
              v1::ListScriptsResponse* response) {
    app.with_term([this, ended = ended_, request, response](Term* term) {
      if (term == nullptr) return end(absl::UnavailableError("the scheduler is not ready"), *ended);
      const auto worker_id = term->scheduler().resolve_worker(request.worker_id());
      if (!worker_id.ok()) return end(worker_id.status(), *ended);
      const std::shared_ptr<WorkerLink> link = term->link_of(*worker_id);
      if (link == nullptr) {
        return end(
            absl::UnavailableError("worker " + request.worker_id() + " cannot be reached now"),
            *ended);
      }
      v1::ListWorkerScriptsRequest forwarded;
      forwarded.set_page_size(request.page_size());
      forwarded.set_page_token(request.page_token());
      link->list_scripts(
          std::move(forwarded),
          [this, ended, response](absl::StatusOr<v1::ListWorkerScriptsResponse> page) {
            if (ended->exchange(true)) return;  // this and `response` may be gone
            if (page.ok()) {
              response->mutable_scripts()->Swap(page->mutable_scripts());
              response->set_next_page_token(page->next_page_token());
            }
            Finish(to_grpc(page.status()));
          });
    });
  }

  void OnCancel() override { end(absl::CancelledError("the caller is gone"), *ended_); }
  void OnDone() override { delete this; }

 private:
  void end(const absl::Status& status, std::atomic<bool>& ended) {
    if (!ended.exchange(true)) Finish(to_grpc(status));
  }

  // Shared with the worker's answer, which may come after this is gone.
  const std::shared_ptr<std::atomic<bool>> ended_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace

std::string SchedulerServiceImpl::name_of(const Identity& caller) const {
  if (!caller.is_anonymous()) return caller.text();
  return transport_ == Transport::kGateway ? "http" : "grpc";
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::StartJob(grpc::CallbackServerContext* context,
                                                         const v1::StartJobRequest* request,
                                                         v1::Job* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/StartJob",
                                   subject_of(*request));
  if (!call.ok()) return refuse(context, call.status());
  // Where a directed job's script may lie depends on what its worker is.
  absl::Status status = check_job_spec(request->spec(), request->spec().worker_id().empty()
                                                            ? ScriptPlace::kBelowScriptsDir
                                                            : ScriptPlace::kAnywhere);
  if (status.ok()) status = check_job_sizes(request->spec(), app_.config().scheduling);
  if (status.ok()) status = check_record_size(request->spec(), app_.config().store);
  if (status.ok()) status = check_request_id(request->request_id());
  if (status.ok()) status = check_external_id(request->external_id());
  if (status.ok()) status = app_.check_disk();
  if (!status.ok()) return refuse(context, *call, status);
  SubmitOrder order{.job_id = new_uuid_v7(app_.clock().now().wall),
                    .spec = request->spec(),
                    .submitted_by = name_of(call->caller()),
                    .trace_parent = metadata_of(*context, "traceparent")};
  order.external_id = request->external_id();
  if (!is_trace_parent(order.trace_parent)) order.trace_parent.clear();
  order.request = key_of(call->caller(), "StartJob", *request);
  if (order.spec.has_script()) {
    order.spec.mutable_script()->set_sha256(
        absl::BytesToHexString(sha256(order.spec.script().content())));
  }
  return start_unary_call(
      app_, response,
      [order = std::move(order)](Scheduler& scheduler, CallId id, Now now) mutable {
        return scheduler.submit(id, std::move(order), now);
      },
      *std::move(call));
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::StopJob(grpc::CallbackServerContext* context,
                                                        const v1::StopJobRequest* request,
                                                        v1::Job* response) {
  auto call =
      access_.admit_change(*context, "/clusterd.v1.SchedulerService/StopJob", subject_of(*request));
  if (!call.ok()) return refuse(context, call.status());
  std::string who = name_of(call->caller());
  return start_keyed_call(
      context, *std::move(call), "StopJob", *request, response,
      [who = std::move(who)](Scheduler& scheduler, CallId id, const v1::StopJobRequest& asked,
                             const RequestKey& key,
                             Now now) { return scheduler.stop(id, asked, who, key, now); });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::SignalJob(grpc::CallbackServerContext* context,
                                                          const v1::SignalJobRequest* request,
                                                          v1::Job* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/SignalJob",
                                   subject_of(*request));
  if (!call.ok()) return refuse(context, call.status());
  const std::optional<int> signal = signal_number(request->signal());
  if (!signal) {
    return refuse(context, *call,
                  invalid_field("signal", "\"" + request->signal() +
                                              "\" is no signal; a name such as USR1 or a "
                                              "number is expected"));
  }
  return start_keyed_call(
      context, *std::move(call), "SignalJob", *request, response,
      [signal = *signal](Scheduler& scheduler, CallId id, const v1::SignalJobRequest& asked,
                         const RequestKey& key,
                         Now now) { return scheduler.signal(id, asked, signal, key, now); });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::QueryJob(grpc::CallbackServerContext* context,
                                                         const v1::QueryJobRequest* request,
                                                         v1::Job* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/QueryJob");
  if (!caller.ok()) return refuse(context, caller.status());
  return start_unary_call(app_, response,
                          [request = *request](Scheduler& scheduler, CallId call, Now) {
                            return scheduler.query(call, request);
                          });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::WaitJob(grpc::CallbackServerContext* context,
                                                        const v1::WaitJobRequest* request,
                                                        v1::Job* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/WaitJob");
  if (!caller.ok()) return refuse(context, caller.status());
  const absl::Status status = check_duration("timeout", request->timeout());
  if (!status.ok()) return refuse(context, status);
  return start_unary_call(app_, response,
                          [request = *request](Scheduler& scheduler, CallId call, Now now) {
                            return scheduler.wait(call, request, now);
                          });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::WaitJobs(grpc::CallbackServerContext* context,
                                                         const v1::WaitJobsRequest* request,
                                                         v1::WaitJobsResponse* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/WaitJobs");
  if (!caller.ok()) return refuse(context, caller.status());
  if (request->job_id().empty() || request->job_id_size() > kMaxJobsWaitedFor) {
    return refuse(context,
                  invalid_field("job_id", absl::StrCat(request->job_id_size(), " ids, 1 to ",
                                                       kMaxJobsWaitedFor, " are allowed")));
  }
  const absl::Status status = check_duration("timeout", request->timeout());
  if (!status.ok()) return refuse(context, status);
  return new WaitJobsCall(app_, *request, response);
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::ListJobs(grpc::CallbackServerContext* context,
                                                         const v1::ListJobsRequest* request,
                                                         v1::ListJobsResponse* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/ListJobs");
  if (!caller.ok()) return refuse(context, caller.status());
  if (const absl::Status status = check_labels(*request); !status.ok()) {
    return refuse(context, status);
  }
  auto* reactor = context->DefaultReactor();
  app_.with_term([this, reactor, request, response](Term* term) {
    if (term == nullptr) {
      reactor->Finish(to_grpc(absl::UnavailableError("the scheduler is not ready")));
      return;
    }
    v1::ListJobsRequest resolved = *request;
    if (!resolved.worker_id().empty()) {
      const auto worker_id = term->scheduler().resolve_worker(resolved.worker_id());
      if (!worker_id.ok()) return reactor->Finish(to_grpc(worker_id.status()));
      resolved.set_worker_id(*worker_id);
    }
    app_.read([this, reactor, response, resolved = std::move(resolved)] {
      auto page = app_.store().list_jobs(resolved);
      absl::Status status = page.status();
      status.Update(app_.check_office());
      if (status.ok()) {
        *response = *std::move(page);
        hide_values(*response);
      }
      add_progress(app_, response, [reactor, status] { reactor->Finish(to_grpc(status)); });
    });
  });
  return reactor;
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::ListTasks(grpc::CallbackServerContext* context,
                                                          const v1::ListTasksRequest* request,
                                                          v1::ListJobsResponse* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/ListTasks");
  if (!caller.ok()) return refuse(context, caller.status());
  auto* reactor = context->DefaultReactor();
  app_.with_term([this, reactor, request, response](Term* term) {
    if (term == nullptr) {
      reactor->Finish(to_grpc(absl::UnavailableError("the scheduler is not ready")));
      return;
    }
    std::string worker_id;
    if (!request->worker_id().empty()) {
      const auto resolved = term->scheduler().resolve_worker(request->worker_id());
      if (!resolved.ok()) return reactor->Finish(to_grpc(resolved.status()));
      worker_id = *resolved;
    }
    app_.read([this, reactor, request, response, worker_id] {
      absl::Status status = list_tasks(*request, worker_id, *response);
      status.Update(app_.check_office());
      add_progress(app_, response, [reactor, status] { reactor->Finish(to_grpc(status)); });
    });
  });
  return reactor;
}

absl::Status SchedulerServiceImpl::list_tasks(const v1::ListTasksRequest& request,
                                              const std::string& worker_id,
                                              v1::ListJobsResponse& response) {
  const absl::Status not_found = field_error(absl::StatusCode::kNotFound, "job_id",
                                             "job not found: \"" + request.job_id() + "\"");
  if (!worker_id.empty()) {
    const auto array = app_.store().find_job(request.job_id());
    if (!array.ok() || array->worker_id() != worker_id) return not_found;
  }
  auto page = app_.store().list_tasks(request);
  if (absl::IsNotFound(page.status())) return not_found;
  if (!page.ok()) return page.status();
  response = *std::move(page);
  hide_values(response);
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::ExplainJob(grpc::CallbackServerContext* context,
                                                           const v1::ExplainJobRequest* request,
                                                           v1::ExplainJobResponse* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/ExplainJob");
  if (!caller.ok()) return refuse(context, caller.status());
  return start_unary_call(app_, response,
                          [request = *request](Scheduler& scheduler, CallId call, Now) {
                            return scheduler.explain(call, request);
                          });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::RetryJob(grpc::CallbackServerContext* context,
                                                         const v1::RetryJobRequest* request,
                                                         v1::Job* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/RetryJob",
                                   subject_of(*request));
  if (!call.ok()) return refuse(context, call.status());
  return start_keyed_call(context, *std::move(call), "RetryJob", *request, response,
                          std::mem_fn(&Scheduler::retry));
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::StopMatchingJobs(
    grpc::CallbackServerContext* context, const v1::StopMatchingJobsRequest* request,
    v1::MatchingJobsResponse* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/StopMatchingJobs",
                                   subject_of(*request));
  if (!call.ok()) return refuse(context, call.status());
  const absl::Status status = check_selection(request->selection(), GroupAction::kStop);
  if (!status.ok()) return refuse(context, *call, status);
  std::string who = name_of(call->caller());
  return start_keyed_call(context, *std::move(call), "StopMatchingJobs", *request, response,
                          [who = std::move(who)](Scheduler& scheduler, CallId id,
                                                 const v1::StopMatchingJobsRequest& asked,
                                                 const RequestKey& key, Now now) {
                            return scheduler.stop_matching(id, asked, who, key, now);
                          });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::RetryMatchingJobs(
    grpc::CallbackServerContext* context, const v1::RetryMatchingJobsRequest* request,
    v1::MatchingJobsResponse* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/RetryMatchingJobs",
                                   subject_of(*request));
  if (!call.ok()) return refuse(context, call.status());
  const absl::Status status = check_selection(request->selection(), GroupAction::kRetry);
  if (!status.ok()) return refuse(context, *call, status);
  return start_keyed_call(context, *std::move(call), "RetryMatchingJobs", *request, response,
                          std::mem_fn(&Scheduler::retry_matching));
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::DeleteJob(grpc::CallbackServerContext* context,
                                                          const v1::DeleteJobRequest* request,
                                                          v1::DeleteJobResponse* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/DeleteJob",
                                   subject_of(*request));
  if (!call.ok()) return refuse(context, call.status());
  return start_keyed_call(context, *std::move(call), "DeleteJob", *request, response,
                          std::mem_fn(&Scheduler::erase));
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::DrainWorker(grpc::CallbackServerContext* context,
                                                            const v1::DrainWorkerRequest* request,
                                                            v1::Worker* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/DrainWorker",
                                   subject_of(*request));
  if (!call.ok()) return refuse(context, call.status());
  const absl::Status status = check_duration("deadline", request->deadline());
  if (!status.ok()) return refuse(context, *call, status);
  return start_keyed_call(context, *std::move(call), "DrainWorker", *request, response,
                          std::mem_fn(&Scheduler::drain));
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::ResumeWorker(grpc::CallbackServerContext* context,
                                                             const v1::ResumeWorkerRequest* request,
                                                             v1::Worker* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/ResumeWorker",
                                   subject_of(*request));
  if (!call.ok()) return refuse(context, call.status());
  return start_keyed_call(context, *std::move(call), "ResumeWorker", *request, response,
                          std::mem_fn(&Scheduler::resume));
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::RemoveWorker(grpc::CallbackServerContext* context,
                                                             const v1::RemoveWorkerRequest* request,
                                                             v1::Worker* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/RemoveWorker",
                                   subject_of(*request));
  if (!call.ok()) return refuse(context, call.status());
  return start_keyed_call(context, *std::move(call), "RemoveWorker", *request, response,
                          std::mem_fn(&Scheduler::remove));
}

grpc::ServerWriteReactor<v1::Event>* SchedulerServiceImpl::WatchEvents(
    grpc::CallbackServerContext* context, const v1::WatchEventsRequest* request) {
  const auto caller = access_.admit_stream(*context, "/clusterd.v1.SchedulerService/WatchEvents");
  if (!caller.ok()) return refuse_stream<v1::Event>(caller.status());
  return new EventRelay(app_, access_, *context, request->since());
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::ListWorkers(grpc::CallbackServerContext* context,
                                                            const v1::ListWorkersRequest* request,
                                                            v1::ListWorkersResponse* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/ListWorkers");
  if (!caller.ok()) return refuse(context, caller.status());
  return start_unary_call(app_, response,
                          [request = *request](Scheduler& scheduler, CallId call, Now) {
                            return scheduler.list_workers(call, request);
                          });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::GetWorker(grpc::CallbackServerContext* context,
                                                          const v1::GetWorkerRequest* request,
                                                          v1::Worker* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/GetWorker");
  if (!caller.ok()) return refuse(context, caller.status());
  return start_unary_call(app_, response,
                          [request = *request](Scheduler& scheduler, CallId call, Now) {
                            return scheduler.get_worker(call, request);
                          });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::GetCluster(grpc::CallbackServerContext* context,
                                                           const v1::GetClusterRequest* request,
                                                           v1::Cluster* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/GetCluster");
  tell_time(*context);
  if (!caller.ok()) return refuse(context, caller.status());
  (void)request;
  return start_unary_call(app_, response,
                          [who = shown(*caller), leader = app_.self().address(),
                           members = app_.members()](Scheduler& scheduler, CallId call, Now) {
                            Decision answer = scheduler.get_cluster(call, who, leader);
                            add_members(members, answer);
                            return answer;
                          });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::ListScripts(grpc::CallbackServerContext* context,
                                                            const v1::ListScriptsRequest* request,
                                                            v1::ListScriptsResponse* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/ListScripts");
  if (!caller.ok()) return refuse(context, caller.status());
  return new ScriptsCall(app_, *request, response);
}

grpc::ServerWriteReactor<v1::StreamJobResponse>* SchedulerServiceImpl::StreamJob(
    grpc::CallbackServerContext* context, const v1::StreamJobRequest* request) {
  const auto caller = access_.admit_stream(*context, "/clusterd.v1.SchedulerService/StreamJob");
  if (!caller.ok()) return refuse_stream<v1::StreamJobResponse>(caller.status());
  return new OutputRelay(app_, access_, context, *request);
}

}  // namespace clusterd
