#include "worker/worker_metrics.h"

namespace clusterd {

void WorkerMetrics::count_end(v1::JobEnd::Reason reason) {
  ended[v1::JobEnd::Reason_IsValid(reason) ? static_cast<size_t>(reason) : 0].add();
}

void WorkerMetrics::add_to(MetricsPage& page) const {
  page.gauge("clusterd_worker_session_connected", "1: it has a session with a scheduler.");
  page.sample(static_cast<uint64_t>(connected.load(std::memory_order_relaxed) ? 1 : 0));
  page.gauge("clusterd_worker_attempts_held",
             "Attempts that run here, or whose end the scheduler has not acknowledged.");
  page.sample(held.load(std::memory_order_relaxed));
  page.counter("clusterd_worker_starts_total", "Attempts that were given to the launcher.");
  page.sample(starts.value());
  page.counter("clusterd_worker_attempts_ended_total", "Attempts that ended, by reason.");
  for (int i = 0; i < v1::JobEnd::Reason_ARRAYSIZE; ++i) {
    if (!v1::JobEnd::Reason_IsValid(i)) continue;
    page.sample(ended[static_cast<size_t>(i)].value(),
                {{"reason", v1::JobEnd::Reason_Name(static_cast<v1::JobEnd::Reason>(i))}});
  }
  page.counter("clusterd_worker_output_bytes_total",
               "Bytes of output that attempts have written since this process watches them.");
  page.sample(output_bytes.load(std::memory_order_relaxed));
  page.counter("clusterd_worker_heartbeats_sent_total", "Heartbeats sent to the scheduler.");
  page.sample(heartbeats.value());
}

}  // namespace clusterd
