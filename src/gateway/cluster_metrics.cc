#include "gateway/cluster_metrics.h"

#include <algorithm>
#include <string>

namespace clusterd::gateway {
namespace {

// Every value of an enumeration but the unspecified one, so that a series is there before its first
// count.
template <typename Visit>
void each_state(const google::protobuf::EnumDescriptor& states, Visit visit) {
  for (int i = 1; i < states.value_count(); ++i) visit(states.value(i)->name());
}

uint64_t count_of(const google::protobuf::Map<std::string, uint64_t>& counts,
                  const std::string& state) {
  const auto found = counts.find(state);
  return found == counts.end() ? 0 : found->second;
}

double seconds_since(const google::protobuf::Timestamp& time,
                     std::chrono::system_clock::time_point now) {
  const std::chrono::duration<double> at = now.time_since_epoch();
  const double then = static_cast<double>(time.seconds()) + time.nanos() / 1e9;
  return std::max(0.0, at.count() - then);
}

// One that left is silent rightly, and another may have its name.
template <typename Visit>
void each_member(const v1::ListWorkersResponse& workers, Visit visit) {
  for (const v1::Worker& worker : workers.workers()) {
    if (worker.state() != v1::Worker::LEFT) visit(worker);
  }
}

void add_workers(const v1::Cluster& cluster, const v1::ListWorkersResponse& workers,
                 std::chrono::system_clock::time_point now, MetricsPage& page) {
  page.gauge("clusterd_workers", "Workers, by state.");
  each_state(*v1::Worker::State_descriptor(), [&](const std::string& state) {
    page.sample(count_of(cluster.worker_counts(), state), {{"state", state}});
  });
  page.gauge("clusterd_workers_draining", "Workers that take no new jobs.");
  page.sample(static_cast<uint64_t>(
      std::count_if(workers.workers().begin(), workers.workers().end(),
                    [](const v1::Worker& worker) { return worker.draining(); })));
  page.gauge("clusterd_workers_quarantined", "Workers at which jobs do not start.");
  page.sample(static_cast<uint64_t>(
      std::count_if(workers.workers().begin(), workers.workers().end(),
                    [](const v1::Worker& worker) { return worker.has_quarantine(); })));
  page.gauge("clusterd_worker_heartbeat_age_seconds", "Since a worker was last heard.");
  each_member(workers, [&](const v1::Worker& worker) {
    page.sample(seconds_since(worker.last_seen(), now),
                {{"worker", worker.name()}, {"worker_id", worker.worker_id()}});
  });
  page.gauge("clusterd_worker_attempts", "Attempts that are starting or running on a worker.");
  each_member(workers, [&](const v1::Worker& worker) {
    page.sample(static_cast<uint64_t>(worker.jobs()),
                {{"worker", worker.name()}, {"worker_id", worker.worker_id()}});
  });
}

}  // namespace

void add_cluster_metrics(const v1::Cluster& cluster, const v1::ListWorkersResponse& workers,
                         std::chrono::system_clock::time_point now, MetricsPage& page) {
  page.gauge("clusterd_scheduler_epoch", "Term of office.");
  page.sample(cluster.epoch());
  page.gauge("clusterd_jobs", "Jobs that are kept, by state; an array counts as one.");
  each_state(*v1::Job::State_descriptor(), [&](const std::string& state) {
    page.sample(count_of(cluster.job_counts(), state), {{"state", state}});
  });
  page.gauge("clusterd_queue_jobs", "Jobs that wait for a worker; an array counts as one.");
  page.sample(cluster.queued());
  page.gauge("clusterd_running_attempts", "Attempts that are starting or running.");
  page.sample(cluster.running());
  page.gauge("clusterd_slots_offered", "Slots of all workers that are ALIVE.");
  page.sample(static_cast<uint64_t>(cluster.capacity().slots()));
  page.gauge("clusterd_slots_used", "Slots that jobs take of them.");
  page.sample(static_cast<uint64_t>(cluster.in_use().slots()));
  page.counter("clusterd_events_total", "Events since the store was made.");
  page.sample(cluster.last_event());
  add_workers(cluster, workers, now, page);
}

void add_queue_metrics(const v1::ListQueuesResponse& queues, MetricsPage& page) {
  const auto each = [&queues, &page](uint64_t (*value)(const v1::Queue& queue)) {
    for (const v1::Queue& queue : queues.queues()) {
      if (queue.has_update_time()) page.sample(value(queue), {{"queue", queue.name()}});
    }
  };
  page.gauge("clusterd_named_queue_jobs",
             "Jobs that wait in a queue; each task of an array counts.");
  each([](const v1::Queue& queue) { return queue.queued(); });
  page.gauge("clusterd_named_queue_attempts", "Attempts of a queue that are starting or running.");
  each([](const v1::Queue& queue) { return queue.running(); });
  page.gauge("clusterd_named_queue_slots", "Slots that these take.");
  each([](const v1::Queue& queue) { return queue.running_slots(); });
  page.gauge("clusterd_named_queue_paused", "1: nothing of the queue is started.");
  each([](const v1::Queue& queue) { return uint64_t{queue.paused() ? 1U : 0U}; });
}

}  // namespace clusterd::gateway
