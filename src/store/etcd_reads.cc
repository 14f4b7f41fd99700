// What EtcdStore reads for callers, on any thread.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/internal/etcd_records.pb.h"
#include "clusterd/job_tasks.h"
#include "store/etcd_pages.h"
#include "store/etcd_store.h"
#include "store/job_page.h"
#include "store/task_page.h"

namespace clusterd {
namespace {

constexpr size_t kRecordsAtOnce = 100;
constexpr int kMostVainLooks = 10;  // at the index, each of which has ended early

absl::StatusOr<v1::Job> parse_job(const std::optional<std::string>& record,
                                  const std::string& job_id) {
  if (!record) return absl::NotFoundError(absl::StrCat("job ", job_id, " not found"));
  v1::Job job;
  if (job.ParseFromString(*record)) return job;
  return absl::DataLossError(absl::StrCat("the stored record of job ", job_id, " does not parse"));
}

// The job has one of these states; the index may be a moment older than the record.
bool has_state(const v1::Job& job, const std::vector<int>& states) {
  return states.empty() || std::binary_search(states.begin(), states.end(), job.state());
}

}  // namespace

absl::StatusOr<v1::Job> EtcdStore::find_job(const std::string& job_id) {
  const auto parts = split_task_id(job_id);
  std::vector<std::string> keys = {keys_.job(job_id)};
  if (parts) keys.push_back(keys_.job(parts->first));
  const auto records = read_keys(client_, keys);
  if (!records.ok()) return records.status();
  if (!parts) return parse_job(records->front(), job_id);
  // A task whose array has been deleted is gone, even while its record waits to be swept.
  const auto array = parse_job(records->back(), parts->first);
  if (!array.ok()) return array.status();
  const bool is_unrecorded = !records->front() && array->spec().has_array() &&
                             task_position(array->spec().array(), parts->second).has_value();
  if (is_unrecorded) return unstarted_task(*array, parts->second);
  return parse_job(records->front(), job_id);
}

absl::StatusOr<v1::ListJobsResponse> EtcdStore::list_jobs(const v1::ListJobsRequest& request) {
  const absl::StatusOr<int64_t> start = seq_in_token(request.page_token());
  if (!start.ok()) return start.status();
  if (!index_.is_loaded()) return absl::UnavailableError("the store is being loaded");
  const size_t page_size = page_size_of(request);
  const std::vector<int> states = states_of(request);
  v1::ListJobsResponse page;
  auto last_seq = static_cast<uint64_t>(*start);
  size_t bytes = 0;
  for (int looks = 0; looks < kMostVainLooks;) {
    // One row more than fits tells whether there is another page.
    const size_t step =
        std::min(kRecordsAtOnce, page_size + 1 - static_cast<size_t>(page.jobs_size()));
    const auto found = index_.list(request, last_seq, step);
    const auto& rows = found.rows;
    std::vector<std::string> keys;
    for (const EtcdIndex::Row& row : rows) keys.push_back(keys_.job(row.job_id));
    const auto records = read_keys(client_, keys);
    if (!records.ok()) return records.status();
    for (size_t i = 0; i < rows.size(); ++i) {
      if (static_cast<size_t>(page.jobs_size()) == page_size || bytes >= kMostBytesOfPage) {
        page.set_next_page_token(token_after(static_cast<int64_t>(last_seq)));
        return page;
      }
      last_seq = rows[i].seq;
      auto job = parse_job((*records)[i], rows[i].job_id);
      // Deleted since, or damaged: a start sets it aside.
      if (!job.ok() || !has_state(*job, states)) continue;
      strip_for_list(*job);
      bytes += job->ByteSizeLong();
      *page.add_jobs() = *std::move(job);
    }
    if (found.at_end) return page;
    last_seq = found.below;
    if (rows.size() < step) ++looks;
  }
  page.set_next_page_token(token_after(static_cast<int64_t>(last_seq)));
  return page;
}

absl::StatusOr<v1::ListJobsResponse> EtcdStore::list_tasks(const v1::ListTasksRequest& request) {
  const auto array = find_job(request.job_id());
  if (!array.ok()) return array.status();
  TaskPage page(*array, request);
  if (!page.status().ok()) return page.status();
  const std::string prefix = keys_.tasks_of(request.job_id());
  const auto from = static_cast<uint32_t>(std::min<int64_t>(page.next_index(), UINT32_MAX));
  const auto read =
      for_each_key(client_, {.prefix = prefix, .from = keys_.task(request.job_id(), from)},
                   [&page](const mvccpb::KeyValue& stored) -> absl::StatusOr<bool> {
                     v1::Job task;
                     if (!task.ParseFromString(stored.value())) return true;
                     const auto parts = split_task_id(task.job_id());
                     if (parts) page.add(parts->second, task);
                     return !page.is_full();
                   });
  if (!read.ok()) return read.status();
  return page.finish();
}

absl::StatusOr<RecordedTasks> EtcdStore::recorded_tasks(const std::string& job_id) {
  RecordedTasks tasks;
  const auto read = for_each_key(client_, {.prefix = keys_.tasks_of(job_id)},
                                 [&tasks](const mvccpb::KeyValue& stored) -> absl::StatusOr<bool> {
                                   v1::Job task;
                                   if (!task.ParseFromString(stored.value())) return true;
                                   const auto parts = split_task_id(task.job_id());
                                   if (parts) tasks.emplace_back(parts->second, task.state());
                                   return true;
                                 });
  if (!read.ok()) return read.status();
  return tasks;
}

absl::StatusOr<std::optional<internal::IdempotencyRecord>> EtcdStore::find_idempotency(
    const std::string& key) {
  const auto records = read_keys(client_, {keys_.requests() + key});
  if (!records.ok()) return records.status();
  if (!records->front()) return std::optional<internal::IdempotencyRecord>();
  internal::IdempotencyRecord record;
  if (!record.ParseFromString(*records->front())) {
    return absl::DataLossError("the stored record of an idempotency key does not parse");
  }
  return std::optional(std::move(record));
}

absl::StatusOr<std::vector<v1::Event>> EtcdStore::read_events(uint64_t since, size_t limit) {
  const uint64_t last = last_event_seq_;
  const uint64_t oldest = last > max_events_ ? last - max_events_ + 1 : 1;
  if (since + 1 < oldest) return absl::OutOfRangeError(events_dropped(since, oldest));
  std::vector<v1::Event> events;
  if (since >= last) return events;
  const auto read =
      for_each_key(client_, {.prefix = keys_.events(), .from = keys_.event(since + 1)},
                   [&](const mvccpb::KeyValue& stored) -> absl::StatusOr<bool> {
                     internal::EventChunk chunk;
                     if (!chunk.ParseFromString(stored.value())) {
                       return absl::DataLossError("the stored record of an event does not parse");
                     }
                     for (v1::Event& event : *chunk.mutable_events()) {
                       if (events.size() == limit) return false;
                       if (event.seq() > since) events.push_back(std::move(event));
                     }
                     return true;
                   });
  if (!read.ok()) return read.status();
  if (events.empty() || events.front().seq() <= since + 1) return events;
  // The archive that this store is from had no older ones, or events have been dropped meanwhile.
  const auto first = for_each_key(
      client_, {.prefix = keys_.events(), .limit = 1},
      [&](const mvccpb::KeyValue& stored) -> absl::StatusOr<bool> {
        internal::EventChunk chunk;
        const bool is_gap = chunk.ParseFromString(stored.value()) && chunk.events_size() > 0 &&
                            chunk.events(0).seq() > since + 1;
        if (is_gap) return absl::OutOfRangeError(events_dropped(since, chunk.events(0).seq()));
        return false;
      });
  if (!first.ok()) return first.status();
  return events;
}

absl::StatusOr<std::vector<std::string>> EtcdStore::find_expired(WallTime before, uint64_t max_jobs,
                                                                 size_t limit) {
  if (!index_.is_loaded()) return absl::UnavailableError("the store is being loaded");
  return index_.find_expired(before, max_jobs, limit);
}

absl::StatusOr<std::vector<std::string>> EtcdStore::find_doomed(const std::string& worker_id,
                                                                size_t limit) {
  std::vector<std::string> ids;
  const std::string prefix = keys_.doomed_on(worker_id);
  if (limit == 0) return ids;
  const auto read = for_each_key(client_, {.prefix = prefix, .limit = limit},
                                 [&](const mvccpb::KeyValue& stored) -> absl::StatusOr<bool> {
                                   ids.push_back(stored.key().substr(prefix.size()));
                                   return true;
                                 });
  if (!read.ok()) return read.status();
  return ids;
}

absl::StatusOr<uint64_t> EtcdStore::free_bytes() { return caretaker_.free_bytes(); }

}  // namespace clusterd
