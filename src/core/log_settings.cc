#include "core/log_settings.h"

#include <utility>

#include "core/log.h"

namespace clusterd {

absl::Status use_log_settings(const LogConfig& settings) {
  absl::Status status = set_log_format(settings.format);
  status.Update(set_log_level(settings.level));
  return status;
}

Reloadable reloadable_log_level(std::string component, LogConfig settings,
                                std::function<absl::StatusOr<LogConfig>()> load,
                                std::function<void(const LogConfig&)> then) {
  const auto reload = [component = std::move(component), settings = std::move(settings),
                       load = std::move(load), then = std::move(then)]() mutable {
    const auto read = load();
    const absl::Status status = read.ok() ? set_log_level(read->level) : read.status();
    if (!status.ok()) {
      log_error(component, "the log level stays: the configuration file is faulty",
                {{"error", std::string(status.message())}});
      return;
    }
    log_info(component, "log level set", {{"log_level", read->level}, {"before", settings.level}});
    settings.level = read->level;
    if (then) then(settings);
  };
  return {.files = {}, .reload = reload, .look = nullptr};
}

}  // namespace clusterd
