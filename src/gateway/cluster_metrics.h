#pragma once

#include <chrono>

#include "clusterd/v1/scheduler_service.pb.h"
#include "core/metrics.h"

namespace clusterd::gateway {

// The cluster's numbers, as its scheduler shows them, as metrics.
void add_cluster_metrics(const v1::Cluster& cluster, const v1::ListWorkersResponse& workers,
                         std::chrono::system_clock::time_point now, MetricsPage& page);

// Of named queues that somebody has set up: others are as many as clients think of.
void add_queue_metrics(const v1::ListQueuesResponse& queues, MetricsPage& page);

}  // namespace clusterd::gateway
