#pragma once

#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/log.h"

namespace clusterd {

enum class LogFormat { kText, kJson };

// Where lines go. The journal keeps time and level beside each line, so they are left out; on a
// stream to it, a line begins with its mark of the severity (sd-daemon(3)).
enum class LogTarget { kStream, kJournalStream, kJournalEntry };

// How lines look.
struct LogStyle {
  LogFormat format = LogFormat::kText;
  LogTarget target = LogTarget::kStream;
};

// One line without its end:
//   2026-01-02T03:04:05.678Z info scheduler: message key=value key="two words"
//   {"time":"…","level":"info","component":"scheduler","message":"…","key":"value"}
[[nodiscard]] std::string format_log_line(const LogStyle& style, LogLevel level, WallTime when,
                                          std::string_view component, std::string_view message,
                                          LogFields fields);

// As syslog(3) numbers severities.
[[nodiscard]] int syslog_priority(LogLevel level);

// Whether the descriptor is the stream that systemd means by `journal_stream`, the value of
// JOURNAL_STREAM ("device:inode"); null: there is none.
[[nodiscard]] bool is_journal(int descriptor, const char* journal_stream);

}  // namespace clusterd
