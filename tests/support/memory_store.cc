#include "support/memory_store.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/field_error.h"
#include "core/proto_time.h"

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
         (request.queue().empty() || request.queue() == job.spec().queue()) &&
         std::all_of(labels.begin(), labels.end(),
                     [&job](const std::string& label) { return has_label(job, label); }) &&
         (!request.has_submitted_since() || submitted >= from_proto(request.submitted_since())) &&
         (!request.has_submitted_before() || submitted < from_proto(request.submitted_before()));
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
  for (const auto& [job_id, job] : jobs_) {
    if (!is_final(job.state())) {
      contents.live_jobs.push_back(job);
    } else if (job_id.find('.') == std::string::npos) {
      ++contents.ended_counts[job.state()];
    }
  }
  std::sort(contents.live_jobs.begin(), contents.live_jobs.end(),
            [](const v1::Job& a, const v1::Job& b) { return a.seq() < b.seq(); });
  for (const auto& [worker_id, worker] : workers_) contents.workers.push_back(worker);
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
    jobs_[job.job_id()] = job;
    meta_.set_last_job_seq(std::max(meta_.last_job_seq(), job.seq()));
  }
  for (const std::string& job_id : batch.delete_jobs) jobs_.erase(job_id);
  for (const internal::WorkerRecord& worker : batch.put_workers) {
    workers_[worker.worker().worker_id()] = worker;
  }
  for (const std::string& worker_id : batch.delete_workers) workers_.erase(worker_id);
  for (const internal::IdempotencyRecord& record : batch.put_idempotency) {
    idempotency_[record.key()] = record;
  }
  for (const std::string& key : batch.delete_idempotency) idempotency_.erase(key);
}

absl::StatusOr<uint64_t> MemoryStore::free_bytes() {
  const std::lock_guard lock(mutex_);
  return free_bytes_;
}

void MemoryStore::set_free_bytes(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  free_bytes_ = bytes;
}

absl::StatusOr<v1::Job> MemoryStore::find_job(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end()) return absl::NotFoundError("job " + job_id + " not found");
  return found->second;
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
  for (const auto& [job_id, job] : jobs_) {
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
