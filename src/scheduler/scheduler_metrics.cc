#include "scheduler/scheduler_metrics.h"

#include <algorithm>
#include <chrono>

#include "clusterd/job_states.h"

namespace clusterd {

void SchedulerMetrics::add_to(MetricsPage& page, BootTime now) const {
  page.counter("clusterd_jobs_submitted_total", "Jobs accepted.");
  page.sample(submitted.value());
  page.counter("clusterd_jobs_ended_total",
               "Jobs and tasks that ended, by state; arrays count by their tasks.");
  for (int i = v1::Job::State_MIN; i < v1::Job::State_ARRAYSIZE; ++i) {
    const auto state = static_cast<v1::Job::State>(i);
    if (!is_final(state)) continue;
    page.sample(ended[static_cast<size_t>(i)].value(), {{"state", name_of(state)}});
  }
  page.counter("clusterd_attempts_started_total", "Attempts that were given to a worker.");
  page.sample(attempts.value());
  page.counter("clusterd_heartbeats_received_total", "Heartbeats of workers.");
  page.sample(heartbeats.value());
  page.counter("clusterd_output_relayed_bytes_total", "Bytes of output passed on to readers.");
  page.sample(relayed_bytes.value());

  const int64_t oldest = oldest_ready_second.load(std::memory_order_relaxed);
  const int64_t second =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  page.gauge("clusterd_queue_oldest_age_seconds",
             "How long the job that has waited longest lacks nothing but room; 0: none waits.");
  page.sample(
      static_cast<uint64_t>(oldest == kNoneIsReady ? 0 : std::max<int64_t>(0, second - oldest)));
  page.histogram("clusterd_queue_wait_seconds",
                 "From when a job lacked nothing but room until it was given to a worker.",
                 queue_wait);
  page.histogram("clusterd_dispatch_latency_seconds",
                 "From giving an attempt to a worker until its command ran.", dispatch_latency);

  page.histogram("clusterd_store_commit_duration_seconds", "Time of a durable commit.",
                 store.commit_seconds);
  page.histogram("clusterd_store_commit_decisions", "Decisions in one commit.",
                 store.commit_batches);
  page.counter("clusterd_store_commit_failures_total", "Commits that failed.");
  page.sample(store.failures.value());
}

}  // namespace clusterd
