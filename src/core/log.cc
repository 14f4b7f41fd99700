#include "core/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <utility>

#include "core/journal_socket.h"
#include "core/log_format.h"

namespace clusterd {
namespace {

// The one logger of the process. Never destroyed: threads may log until the very end.
spdlog::logger& logger() {
  static spdlog::logger& instance = *[] {
    auto* made = new spdlog::logger("clusterd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");  // lines come whole
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return instance;
}

std::atomic<LogFormat>& format() {
  static std::atomic<LogFormat> instance = LogFormat::kText;
  return instance;
}

// Standard error is the journal.
bool for_journal() {
  static const bool instance = is_journal(STDERR_FILENO, std::getenv("JOURNAL_STREAM"));
  return instance;
}

// Where its entries go; null where standard error is not a stream of its own. Never destroyed, as
// the logger.
const JournalSocket* journal() {
  static const JournalSocket* const instance =
      for_journal() && is_socket(STDERR_FILENO) ? new JournalSocket() : nullptr;
  return instance;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

constexpr std::array<std::pair<std::string_view, LogLevel>, 5> kLevels = {{
    {"trace", LogLevel::kTrace},
    {"debug", LogLevel::kDebug},
    {"info", LogLevel::kInfo},
    {"warning", LogLevel::kWarning},
    {"error", LogLevel::kError},
}};

}  // namespace

void log_message(LogLevel level, std::string_view component, std::string_view message,
                 LogFields fields) {
  if (!is_logged(level)) return;
  const WallTime now = std::chrono::system_clock::now();
  const auto line_for = [&](LogTarget target) {
    const LogStyle style{format().load(std::memory_order_relaxed), target};
    return format_log_line(style, level, now, component, message, fields);
  };
  if (journal() != nullptr && journal()->send(journal_entry(
                                  level, component, line_for(LogTarget::kJournalEntry), fields))) {
    return;
  }
  const std::string line = line_for(for_journal() ? LogTarget::kJournalStream : LogTarget::kStream);
  logger().log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

void log_debug(std::string_view component, std::string_view message, LogFields fields) {
  log_message(LogLevel::kDebug, component, message, fields);
}

void log_info(std::string_view component, std::string_view message, LogFields fields) {
  log_message(LogLevel::kInfo, component, message, fields);
}

void log_warning(std::string_view component, std::string_view message, LogFields fields) {
  log_message(LogLevel::kWarning, component, message, fields);
}

void log_error(std::string_view component, std::string_view message, LogFields fields) {
  log_message(LogLevel::kError, component, message, fields);
}

bool is_logged(LogLevel level) { return logger().should_log(to_spdlog(level)); }

absl::Status set_log_level(std::string_view level) {
  for (const auto& [word, value] : kLevels) {
    if (word != level) continue;
    logger().set_level(to_spdlog(value));
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("log level \"" + std::string(level) +
                                    "\": allowed are trace, debug, info, warning and error");
}

absl::Status set_log_format(std::string_view word) {
  if (word != "text" && word != "json") {
    return absl::InvalidArgumentError("log format \"" + std::string(word) +
                                      "\": allowed are text and json");
  }
  format() = word == "json" ? LogFormat::kJson : LogFormat::kText;
  return absl::OkStatus();
}

}  // namespace clusterd
