#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/worker_service.pb.h"

namespace clusterd {

// Seam: how the scheduler calls one worker. Any thread; every call has a deadline; `done` is
// called exactly once, on a thread of the link's.
class WorkerLink {
 public:
  template <typename T>
  using Done = absl::AnyInvocable<void(absl::StatusOr<T>)>;

  virtual ~WorkerLink() = default;

  virtual void identify(Done<v1::WorkerIdentity> done) = 0;
  virtual void start_jobs(v1::StartJobsRequest request, Done<v1::StartJobsResponse> done) = 0;
  virtual void stop_jobs(v1::StopJobsRequest request, Done<v1::StopJobsResponse> done) = 0;
  virtual void signal_job(v1::SignalAttemptRequest request,
                          Done<v1::SignalAttemptResponse> done) = 0;
  virtual void list_scripts(v1::ListWorkerScriptsRequest request,
                            Done<v1::ListWorkerScriptsResponse> done) = 0;
  // Begins to read output; `context`, `request` and `reactor` outlive the call. The caller starts
  // it (StartCall) and has no deadline but its own reader's.
  virtual void stream_output(grpc::ClientContext* context, const v1::StreamAttemptRequest* request,
                             grpc::ClientReadReactor<v1::StreamJobResponse>* reactor) = 0;
};

// Makes the link to the worker of that name at `address`.
using WorkerLinkMaker =
    std::function<std::shared_ptr<WorkerLink>(const std::string& name, const std::string& address)>;

}  // namespace clusterd
