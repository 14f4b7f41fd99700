#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <string>
#include <vector>

#include "clusterd/v1/scheduler_service.pb.h"
#include "scheduler/scheduler_app.h"

namespace clusterd {

// A WaitJobs: waits for each job by a call of its own; when the wait is over, those that are still
// open are taken back and their jobs are shown as they are. Deletes itself when done.
//
// What it knows of the jobs belongs to the core thread, where all calls are answered.
class WaitJobsCall final : public grpc::ServerUnaryReactor {
 public:
  // `request` names at least one job and `app` outlives this.
  WaitJobsCall(SchedulerApp& app, const v1::WaitJobsRequest& request,
               v1::WaitJobsResponse* response);

  void OnCancel() override;
  void OnDone() override { delete this; }

 private:
  enum class Slot { kOpen, kTakenBack, kShown };

  void begin(const v1::WaitJobsRequest& request);
  void waited(int index, absl::StatusOr<Answer> answer, bool any);
  void shown(int index, absl::StatusOr<Answer> answer);
  void take_back_open();
  // After the answer of each wait: asks for what was taken back, or finishes.
  void waits_answered();
  void finish();

  SchedulerApp& app_;
  v1::WaitJobsResponse* const response_;
  const std::vector<std::string> job_ids_;
  std::vector<CallId> calls_;  // one a job
  std::vector<Slot> slots_;
  int unanswered_;
  absl::Status failure_;
  std::atomic<bool> caller_is_gone_ = false;
};

}  // namespace clusterd
