#include "support/memory_store.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "store/task_page.h"

namespace clusterd {
namespace {

bool has_label(const v1::Job& job, const std::string& wanted) {
  const size_t equals = wanted.find('=');
  const auto label = job.spec().labels().find(wanted.substr(0, equals));
  if (label == job.spec().labels().end()) return false;
  return equals == std::string::npos || label->second == wanted.substr(equals + 1);
}

bool matches(const v1::Job& job, const v1::ListJobsRequest& request) {
  const auto& states = request.state();
  const auto& labels = request.label();
  const WallTime submitted = from_proto(job.submit_time());
  return job.job_id().find('.') == std::string::npos &&  // tasks are not listed
         (states.empty() || std::find(states.begin(), states.end(), job.state()) != states.end()) &&
         (request.worker_id().empty() || request.worker_id() == job.worker_id()) &&
         (request.name().empty() || request.name() == job.spec().name()) &&
         (request.queue().empty() ||
          request.queue() == (job.spec().queue().empty() ? "default" : job.spec().queue())) &&
         (request.external_id().empty() || request.external_id() == job.external_id()) &&
         std::all_of(labels.begin(), labels.end(),
                     [&job](const std::string& label) { return has_label(job, label); }) &&
         (!request.has_submitted_since() || submitted >= from_proto(request.submitted_since())) &&
         (!request.has_submitted_before() || submitted < from_proto(request.submitted_before()));
}

// A job's index is -1, so that it lies before its tasks.
std::pair<std::string, int64_t> key_of(const std::string& job_id) {
  if (const auto parts = split_task_id(job_id)) return {parts->first, parts->second};
  return {job_id, -1};
}

}  // namespace

void MemoryStore::fail_commit(uint64_t number, Failure failure) {
  const std::lock_guard lock(mutex_);
  failing_commit_ = commits_ + number;
  failure_ = failure;
}

void MemoryStore::set_unreachable(bool unreachable) {
  const std::lock_guard lock(mutex_);
  unreachable_ = unreachable;
}

uint64_t MemoryStore::commits() const {
  const std::lock_guard lock(mutex_);
  return commits_;
}

absl::StatusOr<StoreContents> MemoryStore::begin_term() {
  const std::lock_guard lock(mutex_);
  if (unreachable_) return absl::UnavailableError("the store was told to be unreachable");
  meta_.set_schema_version(1);
  meta_.set_cluster_id("memory");
  meta_.set_epoch(meta_.epoch() + 1);
  StoreContents contents;
  contents.meta = meta_;
  for (const auto& [key, job] : jobs_) {
    if (!is_final(job.state())) {
      contents.live_jobs.push_back(job);
      contents.live_jobs.back().clear_pending_reason();
      if (has_tasks(job)) contents.recorded_tasks[job.job_id()] = tasks_of(job.job_id());
    } else if (key.second < 0) {
      ++contents.ended_counts[job.state()];
    }
  }
  std::stable_sort(contents.live_jobs.begin(), contents.live_jobs.end(),
                   [](const v1::Job& a, const v1::Job& b) { return a.seq() < b.seq(); });
  for (const auto& [worker_id, worker] : workers_) contents.workers.push_back(worker);
  for (const auto& [name, schedule] : schedules_) contents.schedules.push_back(schedule);
  for (const auto& [name, queue] : queues_) contents.queues.push_back(queue);
  return contents;
}

absl::Status MemoryStore::commit(absl::Span<const StoreBatch> batches) {
  const std::lock_guard lock(mutex_);
  const bool fails = ++commits_ == failing_commit_;
  if (!fails || failure_ == Failure::kKeptButUnknown) {
    for (const StoreBatch& batch : batches) apply(batch);
  }
  return fails ? absl::UnavailableError("the store was told to fail") : absl::OkStatus();
}

void MemoryStore::apply(const StoreBatch& batch) {
  for (const v1::Job& job : batch.put_jobs) {
    jobs_[key_of(job.job_id())] = job;
    meta_.set_last_job_seq(std::max(meta_.last_job_seq(), job.seq()));
  }
  for (const std::string& job_id : batch.delete_jobs) erase(job_id);
  for (const std::string& job_id : batch.forget_jobs) jobs_.erase(key_of(job_id));
  for (const internal::WorkerRecord& worker : batch.put_workers) {
    workers_[worker.worker().worker_id()] = worker;
  }
  for (const std::string& worker_id : batch.delete_workers) {
    workers_.erase(worker_id);
    doomed_.erase(worker_id);
  }
  for (const internal::IdempotencyRecord& record : batch.put_idempotency) {
    idempotency_[record.key()] = record;
  }
  for (const std::string& key : batch.delete_idempotency) idempotency_.erase(key);
  for (const v1::Schedule& schedule : batch.put_schedules) schedules_[schedule.name()] = schedule;
  for (const std::string& name : batch.delete_schedules) schedules_.erase(name);
  for (const v1::Queue& queue : batch.put_queues) queues_[queue.name()] = queue;
  for (const std::string& name : batch.delete_queues) queues_.erase(name);
  for (const v1::Event& event : batch.put_events) {
    events_[event.seq()] = event;
    meta_.set_last_event_seq(std::max(meta_.last_event_seq(), event.seq()));
  }
  while (events_.size() > max_events_) events_.erase(events_.begin());
  for (const DoomedOutput& gone : batch.delete_doomed) doomed_[gone.worker_id].erase(gone.job_id);
  if (batch.upkeep) sweep_keys(*batch.upkeep);
}

void MemoryStore::erase(const std::string& job_id) {
  const auto first = jobs_.find(key_of(job_id));
  if (first == jobs_.end()) return;
  auto last = std::next(first);
  const bool whole = has_tasks(first->second);
  while (whole && last != jobs_.end() && last->first.first == job_id) ++last;
  for (auto entry = first; entry != last; ++entry) doom(entry->second);
  jobs_.erase(first, last);
}

void MemoryStore::doom(const v1::Job& job) {
  for (const v1::Attempt& attempt : job.attempts()) {
    if (attempt.has_start_time()) doomed_[attempt.worker_id()].insert(job.job_id());
  }
}

void MemoryStore::sweep_keys(WallTime before) {
  std::erase_if(idempotency_, [this, before](const auto& entry) {
    const internal::IdempotencyRecord& record = entry.second;
    return from_proto(record.time()) < before && find(record.subject_id()) == nullptr &&
           !workers_.contains(record.subject_id());
  });
}

absl::StatusOr<uint64_t> MemoryStore::free_bytes() {
  const std::lock_guard lock(mutex_);
  return free_bytes_;
}

void MemoryStore::set_free_bytes(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  free_bytes_ = bytes;
}

const v1::Job* MemoryStore::find(const std::string& job_id) const {
  const auto found = jobs_.find(key_of(job_id));
  return found == jobs_.end() ? nullptr : &found->second;
}

void MemoryStore::visit_jobs(const std::function<void(const v1::Job&)>& visit) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, job] : jobs_) visit(job);
}

std::map<std::string, v1::Job> MemoryStore::jobs() const {
  std::map<std::string, v1::Job> all;
  visit_jobs([&all](const v1::Job& job) { all.emplace(job.job_id(), job); });
  return all;
}

std::vector<internal::WorkerRecord> MemoryStore::workers() const {
  const std::lock_guard lock(mutex_);
  std::vector<internal::WorkerRecord> all;
  for (const auto& [worker_id, worker] : workers_) all.push_back(worker);
  return all;
}

std::map<std::string, v1::Schedule> MemoryStore::schedules() const {
  const std::lock_guard lock(mutex_);
  return schedules_;
}

std::map<std::string, v1::Queue> MemoryStore::queues() const {
  const std::lock_guard lock(mutex_);
  return queues_;
}

void MemoryStore::fail_reads(absl::Status status) {
  const std::lock_guard lock(mutex_);
  reads_ = std::move(status);
}

absl::StatusOr<v1::Job> MemoryStore::find_job(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  if (!reads_.ok()) return reads_;
  if (const v1::Job* job = find(job_id)) return *job;
  if (const auto parts = split_task_id(job_id)) {
    const v1::Job* array = find(parts->first);
    const bool has_it = array != nullptr && array->spec().has_array() &&
                        task_position(array->spec().array(), parts->second).has_value();
    if (has_it) return unstarted_task(*array, parts->second);
  }
  return absl::NotFoundError("job " + job_id + " not found");
}

RecordedTasks MemoryStore::tasks_of(const std::string& job_id) const {
  RecordedTasks tasks;
  for (auto entry = jobs_.upper_bound({job_id, -1});
       entry != jobs_.end() && entry->first.first == job_id; ++entry) {
    tasks.emplace_back(static_cast<uint32_t>(entry->first.second), entry->second.state());
  }
  return tasks;
}

absl::StatusOr<RecordedTasks> MemoryStore::recorded_tasks(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  return tasks_of(job_id);
}

absl::StatusOr<v1::ListJobsResponse> MemoryStore::list_tasks(const v1::ListTasksRequest& request) {
  const std::lock_guard lock(mutex_);
  const v1::Job* array = find(request.job_id());
  if (array == nullptr) return absl::NotFoundError("job " + request.job_id() + " not found");
  TaskPage page(*array, request);
  if (!page.status().ok()) return page.status();
  for (auto entry = jobs_.lower_bound({request.job_id(), page.next_index()});
       entry != jobs_.end() && entry->first.first == request.job_id() && !page.is_full(); ++entry) {
    page.add(static_cast<uint32_t>(entry->first.second), entry->second);
  }
  return page.finish();
}

absl::StatusOr<std::vector<v1::Event>> MemoryStore::read_events(uint64_t since, size_t limit) {
  const std::lock_guard lock(mutex_);
  if (!events_.empty() && since + 1 < events_.begin()->first) {
    return absl::OutOfRangeError(events_dropped(since, events_.begin()->first));
  }
  std::vector<v1::Event> found;
  for (auto event = events_.upper_bound(since); event != events_.end() && found.size() < limit;
       ++event) {
    found.push_back(event->second);
  }
  return found;
}

absl::StatusOr<std::vector<std::string>> MemoryStore::find_expired(WallTime before,
                                                                   uint64_t max_jobs,
                                                                   size_t limit) {
  const std::lock_guard lock(mutex_);
  std::vector<const v1::Job*> ended;
  for (const auto& [key, job] : jobs_) {
    if (key.second < 0 && is_final(job.state())) ended.push_back(&job);
  }
  std::sort(ended.begin(), ended.end(), [](const v1::Job* a, const v1::Job* b) {
    return from_proto(a->end_time()) < from_proto(b->end_time());
  });
  std::vector<std::string> expired;
  const size_t beyond = ended.size() > max_jobs ? ended.size() - max_jobs : 0;
  for (size_t i = 0; i < ended.size() && expired.size() < limit; ++i) {
    if (i >= beyond && from_proto(ended[i]->end_time()) >= before) break;
    expired.push_back(ended[i]->job_id());
  }
  return expired;
}

absl::StatusOr<std::vector<std::string>> MemoryStore::find_doomed(const std::string& worker_id,
                                                                  size_t limit) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> found;
  for (const std::string& job_id : doomed_[worker_id]) {
    if (found.size() == limit) break;
    found.push_back(job_id);
  }
  return found;
}

absl::StatusOr<v1::ListJobsResponse> MemoryStore::list_jobs(const v1::ListJobsRequest& request) {
  constexpr uint32_t kDefaultPageSize = 100;
  constexpr uint32_t kMaxPageSize = 1000;
  uint64_t below = std::numeric_limits<uint64_t>::max();
  const std::string& token = request.page_token();
  const auto parsed = std::from_chars(token.data(), token.data() + token.size(), below);
  if (!token.empty() && parsed.ptr != token.data() + token.size()) {
    return invalid_field("page_token", "not a token that a list of jobs gave");
  }
  const std::lock_guard lock(mutex_);
  std::vector<const v1::Job*> found;
  for (const auto& [key, job] : jobs_) {
    if (job.seq() < below && matches(job, request)) found.push_back(&job);
  }
  std::sort(found.begin(), found.end(),
            [](const v1::Job* a, const v1::Job* b) { return a->seq() > b->seq(); });
  const uint32_t size = request.page_size() == 0 ? kDefaultPageSize : request.page_size();
  v1::ListJobsResponse page;
  for (const v1::Job* job : found) {
    if (page.jobs_size() == static_cast<int>(std::min(size, kMaxPageSize))) {
      page.set_next_page_token(absl::StrCat(page.jobs(page.jobs_size() - 1).seq()));
      break;
    }
    *page.add_jobs() = *job;
  }
  return page;
}

absl::StatusOr<std::optional<internal::IdempotencyRecord>> MemoryStore::find_idempotency(
    const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = idempotency_.find(key);
  if (found == idempotency_.end()) return std::nullopt;
  return found->second;
}

}  // namespace clusterd
