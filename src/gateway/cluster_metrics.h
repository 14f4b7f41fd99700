#pragma once

#include <chrono>

#include "clusterd/v1/scheduler_service.pb.h"
#include "core/metrics.h"

namespace clusterd::gateway {

// The cluster's numbers, as its scheduler shows them, as metrics.
void add_cluster_metrics(const v1::Cluster& cluster, const v1::ListWorkersResponse& workers,
                         std::chrono::system_clock::time_point now, MetricsPage& page);

}  // namespace clusterd::gateway
