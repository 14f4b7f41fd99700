#include "core/log_format.h"

#include <sys/stat.h>
#include <syslog.h>

#include <ctime>
#include <initializer_list>

#include "absl/strings/str_format.h"
#include "core/json_quote.h"

namespace clusterd {
namespace {

void append(std::string& line, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) line += part;
}

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

std::string_view word_of(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return "trace";
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      break;
  }
  return "error";
}

std::string time_text(WallTime when) {
  const auto milliseconds =
      std::chrono::floor<std::chrono::milliseconds>(when.time_since_epoch()).count();
  const auto seconds = static_cast<time_t>(milliseconds / 1000);
  tm parts{};
  (void)gmtime_r(&seconds, &parts);
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                         parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                         static_cast<int>(milliseconds % 1000));
}

void append_text(std::string& line, std::string_view component, std::string_view message,
                 LogFields fields) {
  append(line, {component, ": "});
  append_escaped(line, message, false);
  for (const auto& [key, value] : fields) {
    if (value.is_absent()) continue;
    append(line, {" ", key, "="});
    const bool quoted = !value.is_bare() && needs_quotes(value.text());
    if (quoted) line += '"';
    append_escaped(line, value.text(), quoted);
    if (quoted) line += '"';
  }
}

void append_json(std::string& line, std::string_view component, std::string_view message,
                 LogFields fields) {
  append(line, {"\"component\":", json_quote(component), ",\"message\":", json_quote(message)});
  for (const auto& [key, value] : fields) {
    if (value.is_absent()) continue;
    append(line, {",\"", key, "\":", value.is_bare() ? value.text() : json_quote(value.text())});
  }
  line += '}';
}

}  // namespace

std::string format_log_line(const LogStyle& style, LogLevel level, WallTime when,
                            std::string_view component, std::string_view message,
                            LogFields fields) {
  std::string line;
  const bool with_time = style.target == LogTarget::kStream;
  if (style.target == LogTarget::kJournalStream) {
    append(line, {"<", std::to_string(syslog_priority(level)), ">"});
  }
  if (style.format == LogFormat::kText) {
    if (with_time) append(line, {time_text(when), " ", word_of(level), " "});
    append_text(line, component, message, fields);
    return line;
  }
  line += '{';
  if (with_time) {
    append(line, {"\"time\":\"", time_text(when), "\",\"level\":\"", word_of(level), "\","});
  }
  append_json(line, component, message, fields);
  return line;
}

int syslog_priority(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
    case LogLevel::kDebug:
      return LOG_DEBUG;
    case LogLevel::kInfo:
      return LOG_INFO;
    case LogLevel::kWarning:
      return LOG_WARNING;
    case LogLevel::kError:
      break;
  }
  return LOG_ERR;
}

bool is_journal(int descriptor, const char* journal_stream) {
  if (journal_stream == nullptr) return false;
  struct stat found {};
  if (::fstat(descriptor, &found) != 0) return false;
  return journal_stream == std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino);
}

}  // namespace clusterd
