#include "bench/job_ends.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/proto_time.h"

namespace clusterd::bench {
namespace {

using std::chrono::steady_clock;

// So many of the jobs that were submitted first are waited for at one time; those of a call are few
// enough for its answer to come soon after the last end.
constexpr size_t kCalls = 4;
constexpr size_t kJobsOfCall = 250;
constexpr std::chrono::seconds kSlice(20);

}  // namespace

JobEnds::~JobEnds() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

absl::Status JobEnds::begin() {
  deadline_ = steady_clock::now() + kJobsTimeout;
  for (size_t i = 0; i < kCalls; ++i) {
    auto client = run_.scheduler();
    if (!client.ok()) return client.status();
    if (const auto cluster = (*client)->cluster(run_.stop().token()); !cluster.ok()) {
      return cluster.status();
    }
    clients_.push_back(*std::move(client));
  }
  for (const auto& client : clients_) {
    threads_.emplace_back(
        [this, &client = *client](const std::stop_token& stop) { work(client, stop); });
  }
  return absl::OkStatus();
}

void JobEnds::add(std::string job_id) {
  const std::lock_guard lock(mutex_);
  ids_.push_back(std::move(job_id));
  if (ids_.size() >= kJobsOfCall) changed_.notify_one();
}

absl::Status JobEnds::wait() {
  {
    const std::lock_guard lock(mutex_);
    is_complete_ = true;
    changed_.notify_all();
  }
  for (std::jthread& thread : threads_) thread.join();
  threads_.clear();
  if (run_.stop().token().stop_requested()) return absl::CancelledError("interrupted");
  const std::lock_guard lock(mutex_);
  return status_;
}

std::vector<std::string> JobEnds::take(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const bool is_there = changed_.wait(
      lock, stop, [this] { return is_complete_ || ids_.size() >= kJobsOfCall || !status_.ok(); });
  if (!is_there || !status_.ok()) return {};
  const auto end = ids_.begin() + static_cast<ptrdiff_t>(std::min(ids_.size(), kJobsOfCall));
  std::vector<std::string> taken(std::make_move_iterator(ids_.begin()),
                                 std::make_move_iterator(end));
  ids_.erase(ids_.begin(), end);
  return taken;
}

void JobEnds::work(SchedulerClient& client, const std::stop_token& stop) {
  // Either of them ends a call.
  std::stop_source either;
  const auto pass_on = [&either] { either.request_stop(); };
  const std::stop_callback by_owner(stop, pass_on);
  const std::stop_callback by_user(run_.stop().token(), pass_on);
  while (true) {
    std::vector<std::string> ids = take(either.get_token());
    if (ids.empty()) return;
    const absl::Status status = wait_for(client, std::move(ids), either.get_token());
    if (status.ok()) continue;
    const std::lock_guard lock(mutex_);
    status_.Update(status);
    changed_.notify_all();
    return;
  }
}

absl::Status JobEnds::wait_for(SchedulerClient& client, std::vector<std::string> ids,
                               const std::stop_token& stop) const {
  while (!ids.empty()) {
    v1::WaitJobsRequest request;
    for (std::string& id : ids) request.add_job_id(std::move(id));
    ids.clear();
    *request.mutable_timeout() = to_proto(kSlice);
    const auto answer = client.wait_jobs(request, stop);
    if (!answer.ok()) return answer.status();
    for (const v1::Job& job : answer->jobs()) {
      if (!is_final(job.state())) {
        ids.push_back(job.job_id());
      } else if (absl::Status status = check_success(job); !status.ok()) {
        return status;
      }
    }
    if (!ids.empty() && steady_clock::now() >= deadline_) {
      return absl::DeadlineExceededError(absl::StrCat("job ", ids.front(), " has not ended yet"));
    }
  }
  return absl::OkStatus();
}

}  // namespace clusterd::bench
