#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <optional>
#include <string>

#include "clusterd/v1/scheduler_service.pb.h"
#include "clusterd/v1/worker_service.pb.h"
#include "rpc/access_control.h"
#include "scheduler/scheduler_app.h"

namespace clusterd {

// One reader's stream of a job's output: reads it from the worker that has it and passes it on.
//
// One message is in hand at a time: the next is read from the worker when this one has been
// written to the reader, so a slow reader costs one frame here. The bytes never touch the core
// thread, which is asked only where the output is and how the attempt ended. A follow whose
// worker goes away waits for it and resumes at the next byte.
//
// Steps follow one another (locate, read, write, read, …, outcome), each on whatever thread the
// last one ended; only OnCancel may come in between. Deletes itself in OnDone.
class OutputRelay final : public grpc::ServerWriteReactor<v1::StreamJobResponse> {
 public:
  // `context` is the reader's call: its end cancels the call to the worker.
  OutputRelay(SchedulerApp& app, AccessControl& access, grpc::CallbackServerContext* context,
              const v1::StreamJobRequest& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { delete this; }

 private:
  class Upstream;
  friend class Upstream;

  void ask(Term::Decide decide, Term::Done done);
  void locate();
  void located(absl::StatusOr<Answer> answer);
  void answer_empty();
  void open_upstream(const std::shared_ptr<WorkerLink>& link);
  void received(v1::StreamJobResponse& message, Upstream& upstream);
  void upstream_done(const absl::Status& status);
  void finish_with_end(const AttemptOutcome& outcome);
  void finish(const absl::Status& status);

  SchedulerApp& app_;
  const AccessControl::Stream admitted_;
  grpc::CallbackServerContext* const context_;
  v1::StreamJobRequest request_;
  OutputLocation location_;
  v1::StreamJobResponse outgoing_;
  Upstream* reading_ = nullptr;  // to be read on once the message in hand is written
  std::optional<v1::OutputEnd> end_;
  uint64_t first_offset_ = 0;
  uint64_t next_offset_ = 0;
  bool started_ = false;  // the reader has its OutputStart
  bool resuming_ = false;
  bool asked_again_ = false;  // where the output is, after the worker did not know it
  bool ending_ = false;       // the message in hand is the last
  std::atomic<CallId> question_ = 0;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace clusterd
