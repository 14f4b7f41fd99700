#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/config.h"

namespace clusterd {

// Reads a configuration file. INVALID_ARGUMENT with one line for every error in it, each
// "file:line:column: key: what is wrong, what is allowed"; NOT_FOUND or PERMISSION_DENIED where
// the file cannot be read.
[[nodiscard]] absl::StatusOr<SchedulerConfig> load_scheduler_config(const std::string& path);
[[nodiscard]] absl::StatusOr<WorkerConfig> load_worker_config(const std::string& path);
[[nodiscard]] absl::StatusOr<ClientConfig> load_client_config(const std::string& path);

// The same for the content of a file; `file` is the name in errors.
[[nodiscard]] absl::StatusOr<SchedulerConfig> parse_scheduler_config(std::string_view text,
                                                                     std::string_view file);
[[nodiscard]] absl::StatusOr<WorkerConfig> parse_worker_config(std::string_view text,
                                                               std::string_view file);
[[nodiscard]] absl::StatusOr<ClientConfig> parse_client_config(std::string_view text,
                                                               std::string_view file);

}  // namespace clusterd
