#include "scheduler/job_table.h"

#include <algorithm>
#include <utility>

#include "clusterd/job_states.h"

namespace clusterd {
namespace {

uint64_t script_bytes_of(const LiveJob& live) { return live.job.spec().script().content().size(); }

}  // namespace

LiveJob* JobTable::find(std::string_view job_id) {
  const auto found = jobs_.find(job_id);
  return found == jobs_.end() ? nullptr : found->get();
}

LiveJob* JobTable::find_external(const std::string& external_id) {
  const auto found = by_external_id_.find(external_id);
  return found == by_external_id_.end() ? nullptr : find(found->second);
}

LiveJob& JobTable::insert(LiveJob job) {
  erase(job.job.job_id());
  LiveJob& live = **jobs_.insert(std::make_unique<LiveJob>(std::move(job))).first;
  script_bytes_ += script_bytes_of(live);
  if (!live.job.external_id().empty()) {
    by_external_id_[live.job.external_id()] = live.job.job_id();
  }
  index_schedule(live);
  count(live, 1);
  return live;
}

void JobTable::erase(std::string_view job_id) {
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end()) return;
  count(**found, -1);
  remove(found);
}

void JobTable::remove(Jobs::const_iterator entry) {
  LiveJob& live = **entry;
  set_ready(live, false);
  if (live.tasks != nullptr) set_waiting_tasks(live, false);
  by_external_id_.erase(live.job.external_id());
  unindex_schedule(live);
  script_bytes_ -= script_bytes_of(live);
  jobs_.erase(entry);
}

void JobTable::index_schedule(const LiveJob& live) {
  if (live.job.schedule().empty() || live.is_task()) return;
  by_schedule_[live.job.schedule()][live.job.seq()] = live.job.job_id();
}

void JobTable::unindex_schedule(const LiveJob& live) {
  const auto found = by_schedule_.find(live.job.schedule());
  if (found == by_schedule_.end() || live.is_task()) return;
  found->second.erase(live.job.seq());
  if (found->second.empty()) by_schedule_.erase(found);
}

std::vector<LiveJob*> JobTable::in_order(absl::FunctionRef<bool(const LiveJob&)> wanted) {
  std::vector<std::pair<QueueKey, LiveJob*>> places;
  for (const auto& live : jobs_) {
    if (wanted(*live)) places.emplace_back(key_of(*live), live.get());
  }
  std::sort(places.begin(), places.end());
  std::vector<LiveJob*> jobs;
  jobs.reserve(places.size());
  for (const auto& [key, live] : places) jobs.push_back(live);
  return jobs;
}

std::vector<std::string> JobTable::unended_of_schedule(const std::string& schedule) {
  std::vector<std::string> ids;
  const auto found = by_schedule_.find(schedule);
  if (found == by_schedule_.end()) return ids;
  for (const auto& [seq, id] : found->second) {
    const LiveJob* live = find(id);
    if (live != nullptr && !is_final(live->job.state())) ids.push_back(id);
  }
  return ids;
}

void JobTable::set_state(LiveJob& live, v1::Job::State state) {
  if (live.job.state() == state) return;
  // An array stands in the queue while it is RUNNING.
  if (state != v1::Job::QUEUED && live.tasks == nullptr) set_ready(live, false);
  count(live, -1);
  live.job.set_state(state);
  count(live, 1);
  if (is_final(state) && live.tasks == nullptr) ++ended_counts_[state];
}

void JobTable::set_ready(LiveJob& live, bool ready) {
  if ((live.line != nullptr) == ready) return;
  count_ready(live, ready);
  if (ready) {
    live.line = &ready_.insert(key_of(live), live, live.job.spec(), live.target());
  } else {
    ready_.erase(*std::exchange(live.line, nullptr), key_of(live), live);
  }
}

void JobTable::count_ready(const LiveJob& live, bool ready) {
  const auto since = live.eligible_at.value_or(BootTime{}).time_since_epoch();
  const int64_t second = std::chrono::duration_cast<std::chrono::seconds>(since).count();
  uint64_t& count = ready_by_second_[second];
  count += ready ? 1 : -1;
  if (count == 0) ready_by_second_.erase(second);
}

std::optional<int64_t> JobTable::oldest_ready_second() const {
  if (ready_by_second_.empty()) return std::nullopt;
  return ready_by_second_.begin()->first;
}

void JobTable::evict_until(uint64_t number) {
  while (!ended_.empty() && ended_.front().first <= number) {
    const auto found = jobs_.find(ended_.front().second);
    // One that was retried, or learnt its late end, stays until that is durable too. The count of
    // its state stays: the job is in the store.
    if (found != jobs_.end() && is_final((*found)->job.state()) && (*found)->commit <= number) {
      remove(found);
    }
    ended_.pop_front();
  }
}

QueueKey JobTable::key_of(const LiveJob& live) {
  const uint32_t position = live.is_task() ? live.position + 1 : 0;
  return {.seq = live.job.seq(),
          .descending_priority = -live.job.spec().priority(),
          .position = position};
}

void JobTable::set_waiting_tasks(const LiveJob& array, bool waiting) {
  TaskGroup& tasks = *array.tasks;
  // A broadcast counts as one until it is known where it runs.
  const uint64_t count = !waiting ? 0 : tasks.size() == 0 ? 1 : tasks.unstarted();
  queues_.count_queued(queue_of(array.job.spec()),
                       static_cast<int64_t>(count) - static_cast<int64_t>(tasks.counted_waiting));
  tasks.counted_waiting = count;
  if (tasks.counted_as_queued == waiting) return;
  tasks.counted_as_queued = waiting;
  if (waiting) {
    ++queued_;
  } else {
    --queued_;
  }
}

void JobTable::count(const LiveJob& live, int by) {
  const v1::Job::State state = live.job.state();
  if (live.tasks == nullptr) {
    const std::string queue = queue_of(live.job.spec());
    if (state == v1::Job::QUEUED) queues_.count_queued(queue, by);
    if (state == v1::Job::STARTING || state == v1::Job::RUNNING) {
      queues_.count_running(queue, by, std::max(1U, live.job.spec().resources().slots()));
    }
  }
  if (live.is_task()) return;
  counts_[state] += static_cast<uint64_t>(by);
  if (state == v1::Job::QUEUED) queued_ += static_cast<uint64_t>(by);
}

}  // namespace clusterd
