#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/terminal.h"
#include "clusterd/v1/scheduler_service.pb.h"
#include "core/clock.h"

namespace clusterd {

// By worker id.
using WorkerNames = std::map<std::string, std::string>;

// For whom something is described.
struct View {
  Terminal terminal;
  WallTime now;       // what "ago" counts from
  WorkerNames names;  // a worker that is not among them is shown by its id
};

// Standard output of this process, now.
[[nodiscard]] View view_of_stdout(WorkerNames names = {});

// For people; each ends in a newline. On a terminal times are shown as "3m ago" in tables, else as
// RFC 3339.
[[nodiscard]] std::string describe_job(const v1::Job& job, const View& view);
[[nodiscard]] std::string describe_jobs(const std::vector<v1::Job>& jobs, const View& view);
[[nodiscard]] std::string describe_workers(const v1::ListWorkersResponse& workers,
                                           const View& view);
// Queues, what was set up of them and what they hold.
[[nodiscard]] std::string describe_queues(const v1::ListQueuesResponse& queues, const View& view);
// Which labels these workers have, and which workers have them.
[[nodiscard]] std::string describe_labels(const v1::ListWorkersResponse& workers, const View& view);
[[nodiscard]] std::string describe_scripts(const v1::ListScriptsResponse& scripts,
                                           const View& view);
[[nodiscard]] std::string describe_cluster(const v1::Cluster& cluster, const View& view);
[[nodiscard]] std::string describe_explanation(const v1::ExplainJobResponse& answer,
                                               const View& view);
[[nodiscard]] std::string describe_event(const v1::Event& event);

// "FAILED: exit code 37"; how a job stands, or ended and why, in a few words.
[[nodiscard]] std::string summary_of(const v1::Job& job);
// "12 of 100: resizing".
[[nodiscard]] std::string progress_of(const v1::Progress& progress);

// The two largest units of a time: "45s", "3m", "2h 5m", "12d 3h".
[[nodiscard]] std::string in_short(std::chrono::nanoseconds duration);

}  // namespace clusterd
