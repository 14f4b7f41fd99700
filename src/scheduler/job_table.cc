#include "scheduler/job_table.h"

namespace clusterd {
namespace {

constexpr char kUnfitQueue[] = "unfit";  // no worker's id: those are UUIDs

}  // namespace

LiveJob* JobTable::find(const std::string& job_id) {
  const auto found = jobs_.find(job_id);
  return found == jobs_.end() ? nullptr : &found->second;
}

LiveJob& JobTable::insert(LiveJob job) {
  const std::string id = job.job.job_id();
  LiveJob& live = jobs_[id] = std::move(job);
  enter_state(live);
  return live;
}

void JobTable::erase(const std::string& job_id) {
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end()) return;
  leave_state(found->second);
  jobs_.erase(found);
}

void JobTable::set_state(LiveJob& live, v1::Job::State state) {
  if (live.job.state() == state) return;
  leave_state(live);
  live.job.set_state(state);
  enter_state(live);
}

void JobTable::evict_until(uint64_t number) {
  while (!ended_.empty() && ended_.front().first <= number) {
    jobs_.erase(ended_.front().second);  // its state's count stays: the job is in the store
    ended_.pop_front();
  }
}

const JobTable::Queue& JobTable::queue_of(const std::string& worker_id) const {
  static const Queue kEmpty;
  const auto found = queues_.find(worker_id);
  return found == queues_.end() ? kEmpty : found->second;
}

JobTable::QueueKey JobTable::key_of(const v1::Job& job) {
  return {-job.spec().priority(), job.seq()};
}

std::string JobTable::queue_name(const LiveJob& live) {
  if (live.directed) return live.job.worker_id();
  return live.unfit ? kUnfitQueue : "";
}

void JobTable::set_unfit(LiveJob& live) {
  leave_state(live);
  live.unfit = true;
  enter_state(live);
}

void JobTable::readmit_unfit() {
  const auto found = queues_.find(kUnfitQueue);
  if (found == queues_.end()) return;
  const Queue unfit = std::move(found->second);
  queues_.erase(found);
  for (const auto& [key, job_id] : unfit) {
    jobs_.at(job_id).unfit = false;
    queues_[""].emplace(key, job_id);
  }
}

void JobTable::enter_state(const LiveJob& live) {
  ++counts_[live.job.state()];
  if (live.job.state() != v1::Job::QUEUED) return;
  queues_[queue_name(live)].emplace(key_of(live.job), live.job.job_id());
  ++queued_;
}

void JobTable::leave_state(const LiveJob& live) {
  --counts_[live.job.state()];
  if (live.job.state() != v1::Job::QUEUED) return;
  const auto queue = queues_.find(queue_name(live));
  queue->second.erase(key_of(live.job));
  if (queue->second.empty()) queues_.erase(queue);
  --queued_;
}

}  // namespace clusterd
