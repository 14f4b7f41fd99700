#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "core/config.h"
#include "core/reloader.h"

namespace clusterd {

// Puts [log] in force. INVALID_ARGUMENT: a word that is not allowed.
[[nodiscard]] absl::Status use_log_settings(const LogConfig& settings);

// For a Reloader: when an operator asks (SIGHUP), the level of `load`, which reads the
// configuration file, is in force; `then` is told the settings. Where that fails the level stays,
// and the log says why. The format changes with the next start only. `component` is the daemon's
// name in the log.
[[nodiscard]] Reloadable reloadable_log_level(std::string component, LogConfig settings,
                                              std::function<absl::StatusOr<LogConfig>()> load,
                                              std::function<void(const LogConfig&)> then);

}  // namespace clusterd
