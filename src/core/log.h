#pragma once

#include <cmath>
#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace clusterd {

// A value beside a log message. Numbers and truth values keep their kind, for JSON lines.
class LogValue {
 public:
  LogValue(std::string_view text) : text_(text) {}    // NOLINT: implicit, for {{"key", value}}
  LogValue(const char* text) : text_(text) {}         // NOLINT
  LogValue(const std::string& text) : text_(text) {}  // NOLINT
  LogValue(bool value) : text_(value ? "true" : "false"), bare_(true) {}  // NOLINT
  LogValue(const absl::Status& status)                                    // NOLINT
      : text_(status.ToString(absl::StatusToStringMode::kWithNoExtraData)) {}
  LogValue(double value)  // NOLINT
      : text_(std::to_string(value)), bare_(std::isfinite(value)) {}
  template <std::integral T>
  LogValue(T value) : text_(std::to_string(value)), bare_(true) {}  // NOLINT

  // No field at all where the text is empty.
  [[nodiscard]] static LogValue unless_empty(std::string_view text) {
    LogValue value(text);
    value.absent_ = text.empty();
    return value;
  }

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool is_absent() const { return absent_; }
  [[nodiscard]] bool is_bare() const { return bare_; }

 private:
  std::string text_;
  bool bare_ = false;
  bool absent_ = false;
};

struct LogField {
  std::string_view key;
  LogValue value;
};
using LogFields = std::initializer_list<LogField>;

enum class LogLevel { kTrace, kDebug, kInfo, kWarning, kError };

// Any thread. One line on standard error, as docs/logging.md says; control characters are escaped,
// so no value can forge a line. Before the settings are known: info and above, as text. Keys are
// constants, none of them "time", "level", "component" or "message", and each is there once.
//   log_info("scheduler", "worker joined", {{"worker_id", id}, {"jobs", 3}});
void log_message(LogLevel level, std::string_view component, std::string_view message,
                 LogFields fields = {});
void log_debug(std::string_view component, std::string_view message, LogFields fields = {});
void log_info(std::string_view component, std::string_view message, LogFields fields = {});
void log_warning(std::string_view component, std::string_view message, LogFields fields = {});
void log_error(std::string_view component, std::string_view message, LogFields fields = {});

// True where a message of this level is written; saves making costly values.
[[nodiscard]] bool is_logged(LogLevel level);

// trace, debug, info, warning or error. INVALID_ARGUMENT: another word; the level stays.
[[nodiscard]] absl::Status set_log_level(std::string_view level);

// text or json. INVALID_ARGUMENT: another word; the format stays.
[[nodiscard]] absl::Status set_log_format(std::string_view format);

}  // namespace clusterd
