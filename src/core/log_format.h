#pragma once

#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/log.h"

namespace clusterd {

enum class LogFormat { kText, kJson };

// How lines look. Those for the journal begin with its mark of the severity (sd-daemon(3)), and
// leave out time and level, which it keeps beside each line.
struct LogStyle {
  LogFormat format = LogFormat::kText;
  bool for_journal = false;
};

// One line without its end:
//   2026-01-02T03:04:05.678Z info scheduler: message key=value key="two words"
//   {"time":"…","level":"info","component":"scheduler","message":"…","key":"value"}
[[nodiscard]] std::string format_log_line(const LogStyle& style, LogLevel level, WallTime when,
                                          std::string_view component, std::string_view message,
                                          LogFields fields);

// Whether the descriptor is the stream that systemd means by `journal_stream`, the value of
// JOURNAL_STREAM ("device:inode"); null: there is none.
[[nodiscard]] bool is_journal(int descriptor, const char* journal_stream);

}  // namespace clusterd
