#include "core/original_words.h"

#include <array>
#include <charconv>
#include <csignal>
#include <optional>

#include "clusterd/job_states.h"
#include "core/utf8.h"

namespace clusterd {
namespace {

constexpr std::string_view kExitPrefix = "exit status ";
constexpr std::string_view kSignalPrefix = "signal: ";
constexpr std::string_view kNumberPrefix = "signal ";
constexpr std::string_view kCoreSuffix = " (core dumped)";
constexpr int kLastExitCode = 255;
constexpr int kLastSignal = 64;

// As Go's syscall.Signal prints them, by number.
constexpr std::array<std::string_view, 16> kSignals = {
    "",
    "hangup",
    "interrupt",
    "quit",
    "illegal instruction",
    "trace/breakpoint trap",
    "aborted",
    "bus error",
    "floating point exception",
    "killed",
    "user defined signal 1",
    "segmentation fault",
    "user defined signal 2",
    "broken pipe",
    "alarm clock",
    "terminated",
};

std::string signal_text(int number) {
  if (number < 1 || number >= static_cast<int>(kSignals.size())) {
    return "signal: signal " + std::to_string(number);
  }
  return "signal: " + std::string(kSignals[static_cast<size_t>(number)]);
}

std::optional<int> number_after(std::string_view prefix, std::string_view text, int last) {
  if (!text.starts_with(prefix)) return std::nullopt;
  text.remove_prefix(prefix.size());
  int number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  if (number < 0 || number > last) return std::nullopt;
  return number;
}

std::optional<int> signal_of(std::string_view text) {
  if (!text.starts_with(kSignalPrefix)) return std::nullopt;
  text.remove_prefix(kSignalPrefix.size());
  if (text.ends_with(kCoreSuffix)) text.remove_suffix(kCoreSuffix.size());
  for (size_t number = 1; number < kSignals.size(); ++number) {
    if (text == kSignals[number]) return static_cast<int>(number);
  }
  return number_after(kNumberPrefix, text, kLastSignal);
}

}  // namespace

std::string original_error_text(const v1::JobEnd& end) {
  const v1::Job::State state = state_of(end);
  if (state == v1::Job::SUCCEEDED) return "";
  if (end.has_signal()) return signal_text(end.signal());
  if (state == v1::Job::STOPPED) return signal_text(SIGKILL);
  if (end.reason() == v1::JobEnd::EXITED && end.has_exit_code()) {
    return std::string(kExitPrefix) + std::to_string(end.exit_code());
  }
  return end.message().empty() ? v1::JobEnd::Reason_Name(end.reason()) : end.message();
}

v1::JobEnd end_of_original(bool error, std::string_view error_text, bool stopped_by_us) {
  v1::JobEnd end;
  end.set_reason(v1::JobEnd::EXITED);
  if (!error) {
    end.set_exit_code(0);
  } else if (const auto code = number_after(kExitPrefix, error_text, kLastExitCode)) {
    end.set_exit_code(*code);
  } else if (const auto signal = signal_of(error_text)) {
    end.set_reason(stopped_by_us ? v1::JobEnd::STOP_REQUESTED : v1::JobEnd::SIGNALED);
    end.set_signal(*signal);
  } else {
    end.set_message(to_valid_utf8(error_text));
  }
  return end;
}

}  // namespace clusterd
