#include "worker/worker_service.h"

#include <csignal>
#include <string>
#include <utility>

#include "core/field_error.h"
#include "rpc/grpc_status.h"
#include "worker/output_streamer.h"

namespace clusterd {
namespace {

constexpr int kMaxAttempts = 1000;
constexpr size_t kMaxJobIdBytes = 128;

// The id names a folder, so it is a plain word.
absl::Status check_key(const v1::AttemptKey& key) {
  const std::string& id = key.job_id();
  const bool plain = id.find_first_not_of(
                         "0123456789abcdefghijklmnopqrstuvwxyz"
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-_") == std::string::npos;
  if (id.empty() || id.size() > kMaxJobIdBytes || id.front() == '.' || !plain) {
    return invalid_field("key.job_id", "\"" + id + "\" is no job id");
  }
  if (key.attempt() == 0) return invalid_field("key.attempt", "0; attempts count from 1");
  return absl::OkStatus();
}

absl::Status check_count(const std::string& field, int count) {
  if (count <= kMaxAttempts) return absl::OkStatus();
  return invalid_field(field, std::to_string(count) + " are more than the " +
                                  std::to_string(kMaxAttempts) + " allowed");
}

grpc::ServerUnaryReactor* fail(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(to_grpc(status));
  return reactor;
}

// For calls whose answer is the message that the core gives.
template <typename Response>
auto answer_with(grpc::ServerUnaryReactor* reactor, Response* response) {
  return [reactor, response](absl::StatusOr<Response> result) {
    const absl::Status status = result.status();
    if (status.ok()) *response = *std::move(result);
    reactor->Finish(to_grpc(status));
  };
}

// For calls whose answer is that it was done.
auto answer_done(grpc::ServerUnaryReactor* reactor) {
  return [reactor](const absl::StatusOr<v1::StartJobsResponse>& result) {
    reactor->Finish(to_grpc(result.status()));
  };
}

// A reader that is refused before there is anything to read.
class RefusedReader final : public grpc::ServerWriteReactor<v1::StreamJobResponse> {
 public:
  explicit RefusedReader(const absl::Status& status) { Finish(to_grpc(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerUnaryReactor* WorkerServiceImpl::Identify(grpc::CallbackServerContext* context,
                                                      const v1::IdentifyRequest* /*request*/,
                                                      v1::WorkerIdentity* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.WorkerService/Identify");
  if (!caller.ok()) return fail(context, caller.status());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  core_.identify(answer_with(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* WorkerServiceImpl::StartJob(grpc::CallbackServerContext* context,
                                                      const v1::StartJobsRequest* request,
                                                      v1::StartJobsResponse* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.WorkerService/StartJob");
  if (!caller.ok()) return fail(context, caller.status());
  if (request->attempts_size() != 1) {
    return fail(context, invalid_field("attempts", "exactly one is allowed"));
  }
  return start_jobs(context, *request, response);
}

grpc::ServerUnaryReactor* WorkerServiceImpl::StartJobs(grpc::CallbackServerContext* context,
                                                       const v1::StartJobsRequest* request,
                                                       v1::StartJobsResponse* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.WorkerService/StartJobs");
  if (!caller.ok()) return fail(context, caller.status());
  return start_jobs(context, *request, response);
}

grpc::ServerUnaryReactor* WorkerServiceImpl::start_jobs(grpc::CallbackServerContext* context,
                                                        const v1::StartJobsRequest& request,
                                                        v1::StartJobsResponse* response) {
  absl::Status status = check_count("attempts", request.attempts_size());
  for (const v1::StartAttempt& attempt : request.attempts()) {
    if (status.ok()) status = check_key(attempt.key());
  }
  if (!status.ok()) return fail(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  core_.start_jobs(request, answer_with(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* WorkerServiceImpl::StopJobs(grpc::CallbackServerContext* context,
                                                      const v1::StopJobsRequest* request,
                                                      v1::StopJobsResponse* /*response*/) {
  const auto caller = access_.admit(*context, "/clusterd.v1.WorkerService/StopJobs");
  if (!caller.ok()) return fail(context, caller.status());
  absl::Status status = check_count("keys", request->keys_size());
  for (const v1::AttemptKey& key : request->keys()) {
    if (status.ok()) status = check_key(key);
  }
  if (!status.ok()) return fail(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  core_.stop_jobs(*request, answer_done(reactor));
  return reactor;
}

grpc::ServerUnaryReactor* WorkerServiceImpl::SignalJob(grpc::CallbackServerContext* context,
                                                       const v1::SignalAttemptRequest* request,
                                                       v1::SignalAttemptResponse* /*response*/) {
  const auto caller = access_.admit(*context, "/clusterd.v1.WorkerService/SignalJob");
  if (!caller.ok()) return fail(context, caller.status());
  if (request->signal() < 1 || request->signal() > SIGRTMAX) {
    return fail(context, invalid_field("signal", std::to_string(request->signal()) +
                                                     " is no signal: 1 to 64"));
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  core_.signal_job(*request, answer_done(reactor));
  return reactor;
}

grpc::ServerUnaryReactor* WorkerServiceImpl::QueryJob(grpc::CallbackServerContext* context,
                                                      const v1::QueryAttemptRequest* request,
                                                      v1::AttemptStatus* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.WorkerService/QueryJob");
  if (!caller.ok()) return fail(context, caller.status());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  core_.query_job(request->key(), answer_with(reactor, response));
  return reactor;
}

grpc::ServerWriteReactor<v1::StreamJobResponse>* WorkerServiceImpl::StreamJob(
    grpc::CallbackServerContext* context, const v1::StreamAttemptRequest* request) {
  const auto caller = access_.admit(*context, "/clusterd.v1.WorkerService/StreamJob");
  if (!caller.ok()) return new RefusedReader(caller.status());
  if (const absl::Status status = check_key(request->key()); !status.ok()) {
    return new RefusedReader(status);
  }
  return new OutputStreamer(core_, access_, *context, *request, core_.folder_of(request->key()));
}

grpc::ServerUnaryReactor* WorkerServiceImpl::ListJobs(grpc::CallbackServerContext* context,
                                                      const v1::ListAttemptsRequest* /*request*/,
                                                      v1::ListAttemptsResponse* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.WorkerService/ListJobs");
  if (!caller.ok()) return fail(context, caller.status());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  core_.list_jobs(answer_with(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* WorkerServiceImpl::ListScripts(
    grpc::CallbackServerContext* context, const v1::ListWorkerScriptsRequest* request,
    v1::ListWorkerScriptsResponse* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.WorkerService/ListScripts");
  if (!caller.ok()) return fail(context, caller.status());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  core_.list_scripts(*request, answer_with(reactor, response));
  return reactor;
}

}  // namespace clusterd
