#include "worker/original_services.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/clock.h"
#include "core/field_error.h"
#include "core/ids.h"
#include "core/original_words.h"
#include "core/worker_protocol.h"
#include "rpc/grpc_status.h"
#include "worker/task_key.h"

namespace clusterd {
namespace {

namespace work = ::worker::v1;
using std::chrono::milliseconds;
using std::chrono::system_clock;

// A stop that takes longer goes on after its answer: the callers' deadlines are short.
constexpr milliseconds kLongestStopWait(5000);
constexpr milliseconds kBeforeDeadline(200);

absl::Status other_protocol(v1::Worker::Protocol protocol) {
  return absl::FailedPreconditionError("this worker takes no orders of the protocol " +
                                       std::string(word_of(protocol)) +
                                       ": its scheduler speaks another ([scheduler] protocol)");
}

// The originals' failures have code UNKNOWN and the plain text.
grpc::Status plain(const absl::Status& status) {
  return status.ok() ? grpc::Status::OK
                     : grpc::Status(grpc::StatusCode::UNKNOWN, std::string(status.message()));
}

grpc::ServerUnaryReactor* refuse(grpc::CallbackServerContext* context, const absl::Status& why) {
  auto* reactor = context->DefaultReactor();
  reactor->Finish(to_grpc(why));
  return reactor;
}

class RefusedStream final : public grpc::ServerWriteReactor<jobscheduler::StreamJobRes> {
 public:
  explicit RefusedStream(const absl::Status& why) { Finish(to_grpc(why)); }
  void OnDone() override { delete this; }
};

grpc::Status bad(const char* text) { return {grpc::StatusCode::INVALID_ARGUMENT, text}; }

v1::AttemptKey key_of(const std::string& job_id, uint32_t attempt) {
  v1::AttemptKey key;
  key.set_job_id(job_id);
  key.set_attempt(attempt);
  return key;
}

template <typename Request>
Request order_for_this_session() {
  Request request;
  request.set_epoch(kOriginalEpoch);
  request.set_session(kOriginalSession);
  return request;
}

// Orders the attempt; `done` has the refusal, or OK when it has started: that scheduler asks nobody
// again, so what was answered must not end with this process. Core thread.
void start_attempt(WorkerCore& core, OriginalMembership& original, const v1::AttemptKey& key,
                   BootTime until, v1::JobSpec spec, absl::AnyInvocable<void(absl::Status)> done) {
  auto request = order_for_this_session<v1::StartJobsRequest>();
  v1::StartAttempt& attempt = *request.add_attempts();
  *attempt.mutable_key() = key;
  *attempt.mutable_spec() = std::move(spec);
  original.ordered(key);
  core.start_jobs(std::move(request),
                  [&original, key, until, done = std::move(done)](
                      const absl::StatusOr<v1::StartJobsResponse>& answer) mutable {
                    absl::Status status = answer.status();
                    if (status.ok() && answer->verdicts_size() == 1) {
                      status = from_proto(answer->verdicts(0).refusal());
                    }
                    if (!status.ok()) {
                      original.refused(key);
                      return done(std::move(status));
                    }
                    original.when_started(
                        key, until, [done = std::move(done)]() mutable { done(absl::OkStatus()); });
                  });
}

// Stops the attempt and waits for its end, as long as the caller does. Core thread.
void stop_attempt(WorkerCore& core, OriginalMembership& original, const v1::AttemptKey& key,
                  BootTime until, absl::AnyInvocable<void(absl::Status)> done) {
  auto request = order_for_this_session<v1::StopJobsRequest>();
  *request.add_keys() = key;
  core.stop_jobs(std::move(request),
                 [&original, key, until, done = std::move(done)](
                     const absl::StatusOr<v1::StartJobsResponse>& answer) mutable {
                   if (!answer.ok()) return done(answer.status());
                   original.when_ended(
                       key, until, [done = std::move(done)]() mutable { done(absl::OkStatus()); });
                 });
}

// When the caller wants its answer at the latest.
BootTime answer_by(const grpc::CallbackServerContext& context) {
  const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(
      context.deadline() - system_clock::now() - kBeforeDeadline);
  return SystemClock().now().boot +
         std::clamp<std::chrono::nanoseconds>(left, std::chrono::nanoseconds(0), kLongestStopWait);
}

}  // namespace

grpc::ServerUnaryReactor* JobschedulerWorkerService::StartJob(
    grpc::CallbackServerContext* context, const jobscheduler::StartJobReq* request,
    jobscheduler::StartJobRes* response) {
  const auto caller = access_.admit(*context, "/jobscheduler.Worker/StartJob");
  if (!caller.ok()) return refuse(context, caller.status());
  auto* reactor = context->DefaultReactor();
  v1::JobSpec spec;
  spec.set_command(request->command());
  spec.set_path(request->path());
  if (request->path().empty()) spec.add_args("");  // one argument, even where it is empty
  core_.with_original([this, reactor, response, until = answer_by(*context),
                       spec = std::move(spec)](OriginalMembership* original) mutable {
    if (original == nullptr || original->options().protocol != v1::Worker::JOBSCHEDULER) {
      return reactor->Finish(to_grpc(other_protocol(v1::Worker::JOBSCHEDULER)));
    }
    const std::string job_id = new_uuid_v4();
    start_attempt(core_, *original, key_of(job_id, 1), until, std::move(spec),
                  [reactor, response, job_id](const absl::Status& status) {
                    if (status.ok()) response->set_jobid(job_id);
                    reactor->Finish(plain(status));
                  });
  });
  return reactor;
}

grpc::ServerUnaryReactor* JobschedulerWorkerService::StopJob(
    grpc::CallbackServerContext* context, const jobscheduler::StopJobReq* request,
    jobscheduler::StopJobRes* /*response*/) {
  const auto caller = access_.admit(*context, "/jobscheduler.Worker/StopJob");
  if (!caller.ok()) return refuse(context, caller.status());
  auto* reactor = context->DefaultReactor();
  const v1::AttemptKey key = key_of(request->jobid(), 1);
  core_.query_job(key, [this, reactor, key, until = answer_by(*context)](
                           const absl::StatusOr<v1::AttemptStatus>& found) {
    if (!found.ok()) return reactor->Finish(plain(absl::NotFoundError("job not found")));
    if (found->has_end()) return reactor->Finish(grpc::Status::OK);
    core_.with_original([this, reactor, key, until](OriginalMembership* original) {
      if (original == nullptr || original->options().protocol != v1::Worker::JOBSCHEDULER) {
        return reactor->Finish(to_grpc(other_protocol(v1::Worker::JOBSCHEDULER)));
      }
      stop_attempt(core_, *original, key, until,
                   [reactor](const absl::Status& status) { reactor->Finish(plain(status)); });
    });
  });
  return reactor;
}

grpc::ServerUnaryReactor* JobschedulerWorkerService::QueryJob(
    grpc::CallbackServerContext* context, const jobscheduler::QueryJobReq* request,
    jobscheduler::QueryJobRes* response) {
  const auto caller = access_.admit(*context, "/jobscheduler.Worker/QueryJob");
  if (!caller.ok()) return refuse(context, caller.status());
  auto* reactor = context->DefaultReactor();
  core_.query_job(key_of(request->jobid(), 1),
                  [reactor, response](const absl::StatusOr<v1::AttemptStatus>& found) {
                    if (!found.ok()) {
                      return reactor->Finish(plain(absl::NotFoundError("job not found")));
                    }
                    response->set_done(found->has_end());
                    if (found->has_end()) {
                      response->set_errortext(original_error_text(found->end()));
                      response->set_error(!response->errortext().empty());
                    }
                    reactor->Finish(grpc::Status::OK);
                  });
  return reactor;
}

grpc::ServerWriteReactor<jobscheduler::StreamJobRes>* JobschedulerWorkerService::StreamJob(
    grpc::CallbackServerContext* context, const jobscheduler::StreamJobReq* /*request*/) {
  const auto caller = access_.admit(*context, "/jobscheduler.Worker/StreamJob");
  if (!caller.ok()) return new RefusedStream(caller.status());
  return new RefusedStream(absl::UnimplementedError("that contract never had it"));
}

grpc::ServerUnaryReactor* GoWorkWorkerService::StartWork(grpc::CallbackServerContext* context,
                                                         const work::StartWorkRequest* request,
                                                         work::StartWorkResponse* response) {
  const auto caller = access_.admit(*context, "/worker.v1.WorkerService/StartWork");
  if (!caller.ok()) return refuse(context, caller.status());
  auto* reactor = context->DefaultReactor();
  core_.with_original([this, reactor, request, response,
                       until = answer_by(*context)](OriginalMembership* original) {
    if (original == nullptr || original->options().protocol != v1::Worker::GO_WORK) {
      return reactor->Finish(to_grpc(other_protocol(v1::Worker::GO_WORK)));
    }
    if (request->id().empty()) return reactor->Finish(bad("Id required"));
    if (request->payload().empty()) return reactor->Finish(bad("Payload required"));
    if (original->live()) {
      return reactor->Finish({grpc::StatusCode::ALREADY_EXISTS, "Already working"});
    }
    const auto job_id = job_id_of_task(request->id());
    if (!job_id.ok()) return reactor->Finish(to_grpc(job_id.status()));
    auto spec = spec_of_payload(request->payload(), original->options().task_script);
    if (!spec.ok()) return reactor->Finish(to_grpc(spec.status()));
    start_attempt(core_, *original, key_of(*job_id, original->next_attempt()), until,
                  *std::move(spec), [reactor, response](const absl::Status& status) {
                    response->set_success(status.ok());
                    reactor->Finish(to_grpc(status));
                  });
  });
  return reactor;
}

grpc::ServerUnaryReactor* GoWorkWorkerService::StopWork(grpc::CallbackServerContext* context,
                                                        const work::StopWorkRequest* request,
                                                        work::StopWorkResponse* response) {
  const auto caller = access_.admit(*context, "/worker.v1.WorkerService/StopWork");
  if (!caller.ok()) return refuse(context, caller.status());
  auto* reactor = context->DefaultReactor();
  if (request->id().empty()) {
    reactor->Finish(bad("Id required"));
    return reactor;
  }
  core_.with_original([this, reactor, request, response,
                       until = answer_by(*context)](OriginalMembership* original) {
    if (original == nullptr || original->options().protocol != v1::Worker::GO_WORK) {
      return reactor->Finish(to_grpc(other_protocol(v1::Worker::GO_WORK)));
    }
    response->set_success(true);
    const auto job_id = job_id_of_task(request->id());
    const auto key = job_id.ok() ? original->live(*job_id) : std::nullopt;
    if (!key) return reactor->Finish(grpc::Status::OK);  // it does not run here
    stop_attempt(core_, *original, *key, until, [reactor, response](const absl::Status& status) {
      response->set_success(status.ok());
      reactor->Finish(to_grpc(status));
    });
  });
  return reactor;
}

}  // namespace clusterd
