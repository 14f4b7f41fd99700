#pragma once

#include <string>

#include "clusterd/internal/store.pb.h"
#include "clusterd/v1/job.pb.h"
#include "store/store.h"

namespace clusterd {

// Second `seq` after the epoch is its time of submission.
inline v1::Job sample_job(uint64_t seq, v1::Job::State state) {
  v1::Job job;
  job.set_job_id("job-" + std::to_string(seq));
  job.set_seq(seq);
  job.set_state(state);
  job.mutable_submit_time()->set_seconds(static_cast<int64_t>(seq));
  job.mutable_spec()->set_path("count.sh");
  return job;
}

inline internal::WorkerRecord sample_worker(const std::string& worker_id) {
  internal::WorkerRecord record;
  record.mutable_worker()->set_worker_id(worker_id);
  return record;
}

inline internal::IdempotencyRecord sample_idempotency(const std::string& key,
                                                      const std::string& subject) {
  internal::IdempotencyRecord record;
  record.set_key(key);
  record.set_subject_id(subject);
  return record;
}

inline v1::Schedule sample_schedule(const std::string& name) {
  v1::Schedule schedule;
  schedule.set_name(name);
  schedule.set_cron("@daily");
  schedule.mutable_spec()->set_path("count.sh");
  schedule.mutable_last_time()->set_seconds(86'400);
  return schedule;
}

inline v1::Queue sample_queue(const std::string& name) {
  v1::Queue queue;
  queue.set_name(name);
  return queue;
}

inline StoreBatch batch_of(const v1::Job& job) {
  StoreBatch batch;
  batch.put_jobs.push_back(job);
  return batch;
}

}  // namespace clusterd
