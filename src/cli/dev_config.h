#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/commands.h"

namespace clusterd {

// Configuration files of the two daemons of `clusterd dev`, whose data is below `folder`.
[[nodiscard]] std::string dev_scheduler_config(const DevCommand& command,
                                               const std::string& folder);
// `scheduler_addr` is where the scheduler listens.
[[nodiscard]] std::string dev_worker_config(const DevCommand& command, const std::string& folder,
                                            const std::string& runtime_dir,
                                            const std::string& scheduler_addr);

// A TOML string with the content `text`, quotes included.
[[nodiscard]] std::string toml_quote(const std::string& text);

// The value of `key` in a port file; empty where it has none.
[[nodiscard]] std::string port_file_value(const std::string& content, const std::string& key);

// NOT_FOUND: the scripts folder does not exist, naming it. FAILED_PRECONDITION: it is no folder, or
// one of the ports is taken, naming it and the option that changes it.
[[nodiscard]] absl::Status check_dev(const DevCommand& command);

}  // namespace clusterd
