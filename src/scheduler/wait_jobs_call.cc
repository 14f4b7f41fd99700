#include "scheduler/wait_jobs_call.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "clusterd/job_states.h"
#include "rpc/grpc_status.h"

namespace clusterd {

WaitJobsCall::WaitJobsCall(SchedulerApp& app, const v1::WaitJobsRequest& request,
                           v1::WaitJobsResponse* response)
    : app_(app),
      response_(response),
      job_ids_(request.job_id().begin(), request.job_id().end()),
      slots_(job_ids_.size(), Slot::kOpen),
      unanswered_(request.job_id_size()) {
  for (size_t i = 0; i < job_ids_.size(); ++i) {
    response_->add_jobs();
    calls_.push_back(app_.next_id());
  }
  // From the core thread, so that no answer comes before the last question.
  app_.with_term([this, request](Term*) { begin(request); });
}

void WaitJobsCall::begin(const v1::WaitJobsRequest& request) {
  if (caller_is_gone_) return finish();
  const bool any = request.until() == v1::WaitJobsRequest::ANY;
  for (int i = 0; i < request.job_id_size(); ++i) {
    v1::WaitJobRequest wait;
    wait.set_job_id(request.job_id(i));
    if (request.has_timeout()) *wait.mutable_timeout() = request.timeout();
    app_.call(
        calls_[static_cast<size_t>(i)],
        [this, i, any](absl::StatusOr<Answer> answer) { waited(i, std::move(answer), any); },
        [wait](Scheduler& scheduler, CallId call, Now now) {
          return scheduler.wait(call, wait, now);
        });
  }
}

void WaitJobsCall::OnCancel() {
  caller_is_gone_ = true;
  // From the core thread, so that it comes before all questions or after the last. This may be gone
  // then.
  app_.with_term([&app = app_, calls = calls_](Term*) {
    for (const CallId call : calls) app.abandon(call);
  });
}

void WaitJobsCall::waited(int index, absl::StatusOr<Answer> answer, bool any) {
  Slot& slot = slots_[static_cast<size_t>(index)];
  if (answer.ok()) {
    v1::Job job = std::get<v1::Job>(*std::move(answer));
    const bool over = any && is_final(job.state());
    *response_->mutable_jobs(index) = std::move(job);
    slot = Slot::kShown;
    if (over) take_back_open();
  } else if (slot != Slot::kTakenBack) {
    failure_.Update(answer.status());
    slot = Slot::kShown;
    take_back_open();
  }
  if (--unanswered_ == 0) waits_answered();
}

void WaitJobsCall::take_back_open() {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i] != Slot::kOpen) continue;
    slots_[i] = Slot::kTakenBack;
    app_.abandon(calls_[i]);
  }
}

void WaitJobsCall::waits_answered() {
  if (!failure_.ok() || caller_is_gone_) return finish();
  unanswered_ = static_cast<int>(std::count(slots_.begin(), slots_.end(), Slot::kTakenBack));
  if (unanswered_ == 0) return finish();
  std::vector<int> missing;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i] == Slot::kTakenBack) missing.push_back(static_cast<int>(i));
  }
  for (const int index : missing) {
    v1::QueryJobRequest query;
    query.set_job_id(job_ids_[static_cast<size_t>(index)]);
    app_.call(
        [this, index](absl::StatusOr<Answer> answer) { shown(index, std::move(answer)); },
        [query](Scheduler& scheduler, CallId call, Now) { return scheduler.query(call, query); });
  }
}

void WaitJobsCall::shown(int index, absl::StatusOr<Answer> answer) {
  if (answer.ok()) {
    *response_->mutable_jobs(index) = std::get<v1::Job>(*std::move(answer));
  } else {
    failure_.Update(answer.status());
  }
  if (--unanswered_ == 0) finish();
}

void WaitJobsCall::finish() {
  Finish(to_grpc(caller_is_gone_ ? absl::CancelledError("the caller is gone") : failure_));
}

}  // namespace clusterd
