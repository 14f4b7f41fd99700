#include "store/etcd_translator.h"

#include <utility>
#include <vector>

#include "clusterd/internal/etcd_records.pb.h"
#include "clusterd/job_tasks.h"
#include "store/etcd_pages.h"

namespace clusterd {
namespace {

constexpr size_t kBytesOfChunk = 256 << 10;

template <typename Records, typename KeyOf>
void put_all(const Records& records, KeyOf key_of, EtcdChanges& changes) {
  for (const auto& record : records) changes.put(key_of(record), record.SerializeAsString());
}

}  // namespace

absl::Status EtcdTranslator::prepare(absl::Span<const StoreBatch> batches) {
  std::vector<std::string> ids;
  std::vector<std::string> keys;
  for (const StoreBatch& batch : batches) {
    for (const std::string& job_id : batch.delete_jobs) {
      if (!deleted_.try_emplace(job_id).second) continue;
      ids.push_back(job_id);
      keys.push_back(keys_.job(job_id));
    }
  }
  if (ids.empty()) return absl::OkStatus();
  const auto records = read_keys(client_, keys);
  if (!records.ok()) return records.status();
  for (size_t i = 0; i < ids.size(); ++i) {
    v1::Job& job = deleted_[ids[i]];
    // What does not parse has no output that is known.
    if ((*records)[i] && !job.ParseFromString(*(*records)[i])) job.Clear();
  }
  return absl::OkStatus();
}

void EtcdTranslator::delete_job(const std::string& job_id, EtcdChanges& changes) const {
  const v1::Job& job = deleted_.at(job_id);
  put_doomed(keys_, job, changes);
  if (has_tasks(job)) changes.put(keys_.sweeps() + job_id, "");
  changes.erase(keys_.job(job_id));
}

EtcdChanges EtcdTranslator::translate(const StoreBatch& batch) {
  EtcdChanges changes;
  for (const v1::Job& job : batch.put_jobs) {
    changes.put(keys_.job(job.job_id()), job.SerializeAsString());
    const auto later_deleted = deleted_.find(job.job_id());
    if (later_deleted != deleted_.end()) later_deleted->second = job;
  }
  for (const std::string& job_id : batch.delete_jobs) delete_job(job_id, changes);
  for (const std::string& job_id : batch.forget_jobs) changes.erase(keys_.job(job_id));

  put_all(
      batch.put_workers,
      [this](const internal::WorkerRecord& record) {
        return keys_.workers() + record.worker().worker_id();
      },
      changes);
  for (const std::string& worker_id : batch.delete_workers) {
    changes.erase(keys_.workers() + worker_id);
    changes.erase_range(keys_.doomed_on(worker_id), end_of_prefix(keys_.doomed_on(worker_id)));
  }
  put_all(
      batch.put_idempotency,
      [this](const internal::IdempotencyRecord& record) { return keys_.requests() + record.key(); },
      changes);
  for (const std::string& key : batch.delete_idempotency) changes.erase(keys_.requests() + key);

  put_all(
      batch.put_schedules,
      [this](const v1::Schedule& record) { return keys_.schedules() + record.name(); }, changes);
  for (const std::string& name : batch.delete_schedules) changes.erase(keys_.schedules() + name);
  put_all(
      batch.put_queues, [this](const v1::Queue& record) { return keys_.queues() + record.name(); },
      changes);
  for (const std::string& name : batch.delete_queues) changes.erase(keys_.queues() + name);

  for (const DoomedOutput& gone : batch.delete_doomed) {
    changes.erase(keys_.doomed(gone.worker_id, gone.job_id));
  }
  return changes;
}

void put_doomed(const EtcdKeys& keys, const v1::Job& job, EtcdChanges& changes) {
  for (const v1::Attempt& attempt : job.attempts()) {
    if (!attempt.has_start_time()) continue;
    changes.put(keys.doomed(attempt.worker_id(), job.job_id()), "");
  }
}

void put_events(const EtcdKeys& keys, absl::Span<const v1::Event* const> events,
                EtcdChanges& changes) {
  internal::EventChunk chunk;
  size_t bytes = 0;
  for (size_t i = 0; i < events.size(); ++i) {
    bytes += events[i]->ByteSizeLong();
    *chunk.add_events() = *events[i];
    if (bytes < kBytesOfChunk && i + 1 < events.size()) continue;
    changes.put(keys.event(events[i]->seq()), chunk.SerializeAsString());
    chunk.Clear();
    bytes = 0;
  }
}

}  // namespace clusterd
