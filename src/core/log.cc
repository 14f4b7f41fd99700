#include "core/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <memory>
#include <utility>

namespace clusterd {
namespace {

// The one logger of the process. Never destroyed: threads may log until the very end.
spdlog::logger& logger() {
  static spdlog::logger& instance = *[] {
    auto* made = new spdlog::logger("clusterd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
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

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

void append_escaped(std::string& line, std::string_view text, bool quoted) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (const char c : text) {
    if (c == '\n') {
      line += "\\n";
    } else if (is_control(c)) {
      const auto byte = static_cast<unsigned char>(c);
      line += {'\\', 'x', kHex[byte >> 4U], kHex[byte & 15U]};
    } else {
      if (quoted && (c == '"' || c == '\\')) line += '\\';
      line += c;
    }
  }
}

bool needs_quotes(std::string_view text) {
  if (text.empty()) return true;
  for (const char c : text) {
    if (is_control(c) || c == ' ' || c == '"' || c == '=' || c == '\\') return true;
  }
  return false;
}

}  // namespace

std::string format_log_line(std::string_view component, std::string_view message,
                            LogFields fields) {
  std::string line(component);
  line += ": ";
  append_escaped(line, message, false);
  for (const LogField& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    const bool quoted = !field.value.is_bare() && needs_quotes(field.value.text());
    if (quoted) line += '"';
    append_escaped(line, field.value.text(), quoted);
    if (quoted) line += '"';
  }
  return line;
}

void log_message(LogLevel level, std::string_view component, std::string_view message,
                 LogFields fields) {
  if (!is_logged(level)) return;
  const std::string line = format_log_line(component, message, fields);
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

}  // namespace clusterd
