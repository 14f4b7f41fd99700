// How attempts of HandlerLauncher are described, and how they ended.
#include <sys/resource.h>

#include "absl/strings/str_cat.h"
#include "core/proto_time.h"
#include "core/utf8.h"
#include "worker/launcher/job_end.h"
#include "worker/library/handler_launcher.h"

namespace clusterd {
namespace {

using internal::JournalState;

constexpr uint64_t kTailBytes = 4 << 10;

std::string seconds_text(const google::protobuf::Duration& duration) {
  const std::chrono::duration<double> seconds = from_proto(duration);
  return absl::StrCat(seconds.count(), " s");
}

google::protobuf::Duration time_of(const timeval& time) {
  return to_proto(std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec));
}

// Of the thread that asks, which is the one that ran the handler.
void add_usage(v1::JobEnd& end) {
  rusage usage{};
  if (getrusage(RUSAGE_THREAD, &usage) != 0) return;
  *end.mutable_user_time() = time_of(usage.ru_utime);
  *end.mutable_system_time() = time_of(usage.ru_stime);
}

}  // namespace

internal::LaunchedAttempt HandlerLauncher::describe(Run& run) const {
  internal::LaunchedAttempt described;
  *described.mutable_key() = run.record.intent.key();
  described.set_trace_parent(run.record.intent.trace_parent());
  described.set_started(run.record.spawned.has_value());
  if (run.record.spawned) {
    *described.mutable_start_time() =
        to_proto(WallTime{std::chrono::nanoseconds(run.record.spawned->wall_ns)});
    described.set_pid(static_cast<int32_t>(run.record.spawned->pid));
  }
  if (run.record.end) {
    *described.mutable_end() = run.record.end->end();
    *described.mutable_end_time() = run.record.end->time();
    *described.mutable_outputs() = run.record.end->end().outputs();
  } else {
    *described.add_outputs() = run.output.extent();
  }
  return described;
}

v1::JobEnd HandlerLauncher::make_end(Run& run, const absl::Status& result) const {
  v1::JobEnd end;
  add_usage(end);
  *end.add_outputs() = run.output.extent();
  end.set_exit_code(result.ok() ? 0 : 1);
  const std::string said = result.ok() ? "" : to_valid_utf8(std::string(result.message()));
  end.set_message(said);
  switch (run.ending) {
    case JournalState::STOP:
    case JournalState::FENCE:
      end.set_reason(v1::JobEnd::STOP_REQUESTED);
      break;
    case JournalState::TIMEOUT:
      end.set_reason(v1::JobEnd::RUN_TIMED_OUT);
      end.set_message(absl::StrCat("ran longer than ", seconds_text(run.plan.timeout()),
                                   said.empty() ? "" : "; ", said));
      break;
    case JournalState::SELF_FENCE:
      end.set_reason(v1::JobEnd::WORKER_LOST);
      end.set_message(absl::StrCat("stopped: no contact with the scheduler for ",
                                   seconds_text(run.plan.fence_after())));
      break;
    case JournalState::OUTPUT_LIMIT:
      end.set_reason(v1::JobEnd::OUTPUT_LIMIT);
      end.set_message(run.output.limit());
      break;
    default:
      end.set_reason(v1::JobEnd::EXITED);
      if (!result.ok() && said.empty()) {
        end.set_message(absl::StatusCodeToString(result.code()));
      }
      break;
  }
  const bool succeeded = end.reason() == v1::JobEnd::EXITED && result.ok();
  if (!succeeded) end.set_output_tail(readable_tail(run.output.tail(kTailBytes)));
  return end;
}

}  // namespace clusterd
