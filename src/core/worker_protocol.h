#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/job.pb.h"
#include "clusterd/v1/worker.pb.h"

namespace clusterd {

// What workers of the two earlier systems can do. Pure functions; any thread.

// "clusterd", "jobscheduler" or "go-work".
[[nodiscard]] std::string_view word_of(v1::Worker::Protocol protocol);

// Not clusterd's own.
[[nodiscard]] bool is_original(v1::Worker::Protocol protocol);

// Which workers can do all that a job asks for, by the protocol that they speak.
struct SuitableProtocols {
  bool clusterd = true;
  bool jobscheduler = false;
  bool go_work = false;
};

// The spec has passed check_job_spec().
[[nodiscard]] SuitableProtocols suitable_protocols(const v1::JobSpec& spec);

// OK: a worker of that protocol can do all that the job asks for. INVALID_ARGUMENT names the first
// field that it cannot do.
[[nodiscard]] absl::Status check_protocol(v1::Worker::Protocol protocol, const v1::JobSpec& spec);

// What a go-work worker is told to do: the payload, else command, path and arguments as one line.
[[nodiscard]] std::string payload_of(const v1::JobSpec& spec);

// The job that a payload stands for where clusterd runs it: with `task_script` (relative to
// `scripts_dir`), that script with the payload as its one argument, else the script that the
// payload begins with. INVALID_ARGUMENT with field `payload`: it names no script.
[[nodiscard]] absl::StatusOr<v1::JobSpec> spec_of_payload(const std::string& payload,
                                                          const std::string& task_script);

}  // namespace clusterd
