#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/scheduler_service.pb.h"

namespace clusterd {

// One JSON document with the protos' field names, as over HTTP, without a newline at its end.
[[nodiscard]] absl::StatusOr<std::string> to_json(const google::protobuf::Message& message);

// By worker id.
using WorkerNames = std::map<std::string, std::string>;

// For people; each ends in a newline. A worker without a name is shown by its id.
[[nodiscard]] std::string describe_job(const v1::Job& job, const WorkerNames& names);
[[nodiscard]] std::string describe_jobs(const std::vector<v1::Job>& jobs, const WorkerNames& names);
[[nodiscard]] std::string describe_workers(const v1::ListWorkersResponse& workers);
[[nodiscard]] std::string describe_cluster(const v1::Cluster& cluster);
[[nodiscard]] std::string describe_explanation(const v1::ExplainJobResponse& answer);
[[nodiscard]] std::string describe_event(const v1::Event& event);

// "FAILED: exit code 37"; how a job stands, or ended and why, in a few words.
[[nodiscard]] std::string summary_of(const v1::Job& job);

// Writes everything to standard output. CANCELLED with an empty message where the reader has gone,
// INTERNAL where it cannot be written.
[[nodiscard]] absl::Status write_stdout(std::string_view bytes);

// The exit code of a command that ends with `status`, which it reports where it is an error.
int finish(const absl::Status& status);
// The same after printing `text`, or instead of it.
int print_text(const absl::StatusOr<std::string>& text);

}  // namespace clusterd
