#include "worker/launcher/job_end.h"

#include <sys/wait.h>

#include <chrono>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/proto_time.h"
#include "core/units.h"
#include "core/utf8.h"

namespace clusterd {
namespace {

using internal::JournalState;

constexpr const char* kPipeWasLost =
    "worker and launcher were killed: output that was still in its pipe then (up to 1 MiB) is gone";

uint64_t microseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000 + static_cast<uint64_t>(time.tv_usec);
}

std::string seconds_text(const google::protobuf::Duration& duration) {
  const std::chrono::duration<double> seconds = from_proto(duration);
  return absl::StrCat(seconds.count(), " s");
}

void add_status(const internal::ReapedChild& child, v1::JobEnd* end) {
  const int status = child.wait_status();
  if (WIFEXITED(status)) end->set_exit_code(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) end->set_signal(WTERMSIG(status));
  if (child.max_rss_bytes() == 0) return;  // seen by somebody who was not its parent
  end->set_max_rss_bytes(child.max_rss_bytes());
  *end->mutable_user_time() = to_proto(std::chrono::microseconds(child.user_time_us()));
  *end->mutable_system_time() = to_proto(std::chrono::microseconds(child.system_time_us()));
}

void add_usage(const CgroupUsage& usage, v1::JobEnd* end) {
  if (usage.user_us && usage.system_us) {
    *end->mutable_user_time() = to_proto(std::chrono::microseconds(*usage.user_us));
    *end->mutable_system_time() = to_proto(std::chrono::microseconds(*usage.system_us));
  }
  if (usage.peak_memory_bytes) end->set_peak_memory_bytes(*usage.peak_memory_bytes);
}

void append_text(std::string_view text, v1::JobEnd* end) {
  if (text.empty()) return;
  absl::StrAppend(end->mutable_message(), end->message().empty() ? "" : "; ",
                  absl::string_view(text.data(), text.size()));
}

std::string oom_message(const v1::Limits& limits, uint64_t kills) {
  const std::string who =
      absl::StrCat("the kernel killed ", kills, kills == 1 ? " process" : " processes", " of it: ");
  if (!limits.has_memory_bytes()) return who + "memory was short";
  return absl::StrCat(who, "more memory than limits.memory_bytes of ", limits.memory_bytes(), " (",
                      format_size(limits.memory_bytes()), ")");
}

// What the kernel refused it.
void add_refusals(const v1::Limits& limits, const CgroupUsage& usage, v1::JobEnd* end) {
  const bool is_success = end->has_exit_code() && end->exit_code() == 0;
  // A child that was killed need not make the job fail; one that failed and had none of its own
  // reasons to end did so because of it.
  const bool by_itself =
      end->reason() == v1::JobEnd::EXITED || end->reason() == v1::JobEnd::SIGNALED;
  if (usage.oom_kills > 0) {
    if (by_itself && !is_success) {
      end->set_reason(v1::JobEnd::OUT_OF_MEMORY);
      end->clear_message();
    }
    append_text(oom_message(limits, usage.oom_kills), end);
  }
  if (usage.refused_forks > 0 && limits.has_pids()) {
    append_text(absl::StrCat("limits.pids of ", limits.pids(), " was reached: ",
                             usage.refused_forks, " new processes or threads were refused"),
                end);
  }
}

void add_reason(const JournalAttempt& attempt, v1::JobEnd* end) {
  const internal::JournalIntent& intent = attempt.intent;
  const std::string killed =
      attempt.state.main_killed()
          ? absl::StrCat("killed: it had not ended ", seconds_text(intent.stop_grace()),
                         " after signal ", intent.stop_signal())
          : "";
  switch (attempt.state.ending()) {
    case JournalState::STOP:
    case JournalState::FENCE:
      end->set_reason(v1::JobEnd::STOP_REQUESTED);
      end->set_message(killed);
      return;
    case JournalState::TIMEOUT:
      end->set_reason(v1::JobEnd::RUN_TIMED_OUT);
      end->set_message(absl::StrCat("ran longer than ", seconds_text(intent.timeout()),
                                    killed.empty() ? "" : "; ", killed));
      return;
    case JournalState::SELF_FENCE:
      end->set_reason(v1::JobEnd::WORKER_LOST);
      end->set_message(absl::StrCat("killed: no contact with the scheduler for ",
                                    seconds_text(intent.fence_after())));
      return;
    default:
      break;
  }
  if (!attempt.state.output_limit().empty()) {
    end->set_reason(v1::JobEnd::OUTPUT_LIMIT);
    end->set_message(attempt.state.output_limit());
    append_text(killed, end);
  } else if (!attempt.exit) {
    end->set_reason(v1::JobEnd::EXIT_STATUS_UNKNOWN);
    end->set_message(attempt.state.pipe_was_lost()
                         ? "it ended while neither worker nor launcher ran"
                         : "it ended while nobody could see how");
  } else if (end->has_signal()) {
    end->set_reason(v1::JobEnd::SIGNALED);
    end->set_message(
        absl::StrCat("ended by signal ", end->signal(), " (", ::strsignal(end->signal()), ")"));
  } else {
    end->set_reason(v1::JobEnd::EXITED);
  }
}

}  // namespace

internal::ReapedChild make_reaped_child(pid_t pid, int wait_status, const rusage& usage) {
  internal::ReapedChild child;
  child.set_pid(pid);
  child.set_wait_status(wait_status);
  child.set_max_rss_bytes(static_cast<uint64_t>(usage.ru_maxrss) * 1024);
  child.set_user_time_us(microseconds(usage.ru_utime));
  child.set_system_time_us(microseconds(usage.ru_stime));
  return child;
}

v1::JobEnd make_job_end(const JournalAttempt& attempt, const std::optional<CgroupUsage>& usage) {
  v1::JobEnd end;
  if (attempt.exit) add_status(attempt.exit->child(), &end);
  if (usage) add_usage(*usage, &end);
  add_reason(attempt, &end);
  if (usage) add_refusals(attempt.intent.limits(), *usage, &end);
  end.set_killed(attempt.state.killing());
  if (end.killed() && !attempt.state.main_killed()) {
    append_text("what it had left behind was killed", &end);
  }
  if (attempt.state.pipe_was_lost()) append_text(kPipeWasLost, &end);
  if (!attempt.state.lost_because().empty()) {
    append_text(absl::StrCat(attempt.state.lost_bytes(),
                             " bytes of output could not be kept: ", attempt.state.lost_because()),
                &end);
  }
  return end;
}

std::string readable_tail(std::string_view bytes) {
  for (int i = 0; i < 3 && !bytes.empty() && (bytes.front() & 0xC0) == 0x80; ++i) {
    bytes.remove_prefix(1);
  }
  return to_valid_utf8(bytes);
}

}  // namespace clusterd
