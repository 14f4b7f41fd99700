// The archive command: an attempt's end is told after it.
#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/log.h"
#include "core/proto_time.h"
#include "core/utf8.h"
#include "worker/launcher/supervisor.h"
#include "worker/output_log.h"
#include "worker/process_info.h"

namespace clusterd {
namespace {

// Looks for the status of one that ended while it was another's child, from 5 ms on, each twice as
// long after the last.
constexpr std::chrono::milliseconds kFirstWait{5};
constexpr int kTries = 10;
constexpr std::chrono::seconds kLastWait{1};

bool is_readable(const UniqueFd& pidfd) {
  pollfd readable{pidfd.get(), POLLIN, 0};
  return ::poll(&readable, 1, 0) == 1;
}

v1::ArchiveResult result_of(std::string_view message) {
  v1::ArchiveResult result;
  result.set_message(to_valid_utf8(message));
  return result;
}

std::vector<std::string> archive_environment(const internal::JournalIntent& intent,
                                             const v1::JobEnd& end) {
  std::vector<std::string> variables(intent.archive_environment().begin(),
                                     intent.archive_environment().end());
  variables.push_back("CLUSTERD_END_REASON=" + v1::JobEnd::Reason_Name(end.reason()));
  if (end.has_exit_code())
    variables.push_back(absl::StrCat("CLUSTERD_EXIT_CODE=", end.exit_code()));
  if (end.has_signal()) variables.push_back(absl::StrCat("CLUSTERD_SIGNAL=", end.signal()));
  return variables;
}

}  // namespace

void Supervisor::finish(Attempt& attempt, v1::JobEnd end) {
  const internal::JournalIntent& intent = attempt.record.intent;
  const bool is_fenced = attempt.record.state.ending() == internal::JournalState::FENCE;
  if (intent.archive_command().empty() || is_fenced) {
    end_attempt(attempt, std::move(end));
    return;
  }
  std::vector<std::string> logs =
      existing_logs(output_folder(options_.data_dir, attempt.key()), intent);
  if (logs.empty()) {
    *end.mutable_archive() = result_of("not run: there is no output");
    end_attempt(attempt, std::move(end));
    return;
  }
  // Its number may be another's from here on.
  if (std::exchange(attempt.own_child, false)) reap(attempt.pid());
  attempt.pidfd.reset();
  attempt.phase = Attempt::Phase::kArchiving;
  internal::JournalState& state = attempt.record.state;
  const BootTime until = clock_.now().boot + from_proto(intent.archive_timeout());
  *state.mutable_end_before_archive() = std::move(end);
  state.mutable_archive()->set_until_boottime_ns(
      static_cast<uint64_t>(until.time_since_epoch().count()));
  write_state(attempt);
  ArchiveOrder order{attempt.handle(), intent.archive_command(), std::move(logs),
                     archive_environment(intent, state.end_before_archive())};
  ++in_flight_;
  spawner_->run(
      [this, order = std::move(order)] { post_(start_archive(order, options_.baseline)); });
  arm(attempt);
}

void Supervisor::on_archive_started(ArchiveStarted started) {
  --in_flight_;
  Attempt& attempt = *attempts_.at(started.handle);
  if (!started.process.ok()) {
    const std::string why(started.process.status().message());
    return end_archived(attempt, result_of("cannot be started: " + why));
  }
  internal::JournalArchive& archive = *attempt.record.state.mutable_archive();
  archive.set_pid(started.process->pid);
  archive.set_start_ticks(started.process->start_ticks);
  write_state(attempt);
  attempt.archive = *std::move(started.process);
  attempt.own_archive = true;
  own_children_.insert(attempt.archive.pid);
  if (attempt.archive.pidfd.valid()) {
    poller_.add(attempt.archive.pidfd.get(), PollKind::kArchive, attempt.handle());
  } else {
    attempt.look_again = clock_.now().boot + kFirstWait;
  }
  tell_started(attempt);  // the worker keeps hold of this process now
  const bool is_fenced = attempt.record.state.ending() == internal::JournalState::FENCE;
  if (is_fenced) kill_archive(attempt);
  arm(attempt);
}

void Supervisor::resume_archive(Attempt& attempt, bool is_other_boot) {
  const internal::JournalArchive& archive = attempt.record.state.archive();
  attempt.phase = Attempt::Phase::kArchiving;
  if (is_other_boot) {
    return end_archived(attempt, result_of("its outcome is unknown: the machine restarted"));
  }
  if (archive.pid() == 0) {
    return end_archived(attempt, result_of("its outcome is unknown: the launcher ended while it "
                                           "was being started"));
  }
  attempt.archive.pid = archive.pid();
  attempt.archive.start_ticks = archive.start_ticks();
  const auto stat = read_process_stat(archive.pid());
  const bool is_same = stat && stat->start_ticks == archive.start_ticks();
  attempt.own_archive = is_same && stat->parent == ::getpid();
  if (attempt.own_archive) own_children_.insert(archive.pid());
  if (!attempt.archive.pidfd.valid() && is_same) attempt.archive.pidfd = open_pidfd(archive.pid());
  if (attempt.archive.pidfd.valid()) {
    poller_.add(attempt.archive.pidfd.get(), PollKind::kArchive, attempt.handle());
  } else {
    attempt.look_again = clock_.now().boot + kFirstWait;
  }
  arm(attempt);
}

void Supervisor::on_archive_process(uint64_t handle) {
  Attempt* attempt = find(handle);
  if (attempt == nullptr || attempt->phase != Attempt::Phase::kArchiving) return;
  poller_.remove(attempt->archive.pidfd.get());
  look_at_archive(*attempt);
}

void Supervisor::look_at_archive(Attempt& attempt) {
  const pid_t pid = attempt.archive.pid;
  int status = 0;
  if (attempt.own_archive) {
    // What it has left of its session goes with it, while the number is its own.
    const bool has_ended = attempt.archive.pidfd.valid() && is_readable(attempt.archive.pidfd);
    if (has_ended) (void)::kill(-pid, SIGKILL);
    if (::waitpid(pid, &status, WNOHANG) == pid) {
      own_children_.erase(pid);
      return note_archive_exit(attempt, status);
    }
    attempt.look_again = clock_.now().boot + kLastWait;
    return arm(attempt);
  }
  const auto stat = read_process_stat(pid);
  const bool is_same = stat && stat->start_ticks == attempt.archive.start_ticks;
  std::optional<int> seen = exit_status_by_pidfd(attempt.archive.pidfd);
  if (!seen && is_same && !stat->is_alive() && may_see_wait_status(pid)) seen = stat->wait_status;
  if (seen) return note_archive_exit(attempt, *seen);
  if (!(is_same && stat->is_alive()) && attempt.resolve_tries++ >= kTries) {
    return end_archived(attempt, result_of("its outcome is unknown: nobody saw how it ended"));
  }
  const int exponent = std::min(attempt.resolve_tries, kTries);
  attempt.look_again = clock_.now().boot + kFirstWait * (1 << exponent);
  arm(attempt);
}

void Supervisor::note_archive_exit(Attempt& attempt, int status) {
  v1::ArchiveResult result;
  if (WIFEXITED(status)) result.set_exit_code(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) result.set_signal(WTERMSIG(status));
  if (attempt.archive_killed) {
    const std::chrono::duration<double> limit = from_proto(attempt.record.intent.archive_timeout());
    result.set_message(absl::StrCat("killed: it ran longer than ", limit.count(), " s"));
  } else if (status != 0 && attempt.archive.errors.valid()) {
    result.set_message(read_archive_errors(attempt.archive.errors.get()));
  }
  end_archived(attempt, std::move(result));
}

void Supervisor::kill_archive(Attempt& attempt) {
  if (attempt.archive.pid == 0) return;  // it is being started; its start brings us here again
  attempt.archive_killed = true;
  const auto stat = read_process_stat(attempt.archive.pid);
  const bool is_same = stat && stat->start_ticks == attempt.archive.start_ticks;
  if (is_same) (void)::kill(-attempt.archive.pid, SIGKILL);  // it leads its session
  attempt.look_again = clock_.now().boot + kFirstWait;
  arm(attempt);
}

void Supervisor::end_archived(Attempt& attempt, v1::ArchiveResult result) {
  if (attempt.archive.pidfd.valid()) poller_.remove(attempt.archive.pidfd.get());
  attempt.archive = ArchiveProcess{};
  attempt.look_again.reset();
  if (!result.has_exit_code() || result.exit_code() != 0) {
    log_warning("launcher", "an archive command did not succeed",
                {{"job_id", attempt.key().job_id()},
                 {"attempt", attempt.key().attempt()},
                 {"command", attempt.record.intent.archive_command()},
                 {"exit_code", result.has_exit_code() ? result.exit_code() : -1},
                 {"reason", result.message()}});
  }
  v1::JobEnd end = attempt.record.state.end_before_archive();
  *end.mutable_archive() = std::move(result);
  end_attempt(attempt, std::move(end));
}

}  // namespace clusterd
