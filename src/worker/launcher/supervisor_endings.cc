#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/proto_time.h"
#include "core/utf8.h"
#include "core/worker_fault.h"
#include "worker/launcher/job_end.h"
#include "worker/launcher/supervisor.h"
#include "worker/process_info.h"

namespace clusterd {
namespace {

using internal::JournalState;

// Between two looks at a tree that has been sent KILL: new members may have been forked meanwhile.
constexpr std::chrono::milliseconds kKillInterval{20};
// A tree larger than this is looked at again when this many of it have ended.
constexpr size_t kMaxWatched = 64;

// The child's end, which it keeps: it stays a zombie, and its number its own.
std::optional<internal::ReapedChild> peek_exit(pid_t pid) {
  siginfo_t info{};
  rusage usage{};
  // The system call itself, which has a fifth argument that the library's function lacks.
  const long result = ::syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT, &usage);
  if (result != 0 || info.si_pid != pid) return std::nullopt;
  const int status = info.si_code == CLD_EXITED
                         ? (info.si_status & 0xff) << 8
                         : (info.si_status & 0x7f) | (info.si_code == CLD_DUMPED ? 0x80 : 0);
  return make_reaped_child(pid, status, usage);
}

}  // namespace

void Supervisor::begin_ending(Attempt& attempt, JournalState::Ending why) {
  JournalState& state = attempt.record.state;
  const bool at_once = why == JournalState::FENCE || why == JournalState::SELF_FENCE;
  if (attempt.is_being_ended() && why != JournalState::FENCE) return;
  if (attempt.phase == Attempt::Phase::kRunning && take_own_exit(attempt) &&
      why != JournalState::FENCE) {
    return;  // it ended by itself before our signal
  }
  const auto grace = from_proto(attempt.record.intent.stop_grace());
  const BootTime kill_at = clock_.now().boot + (at_once ? grace.zero() : grace);
  state.set_ending(why);
  state.set_kill_boottime_ns(static_cast<uint64_t>(kill_at.time_since_epoch().count()));
  write_state(attempt);
  if (attempt.phase == Attempt::Phase::kArchiving && at_once) kill_archive(attempt);
  if (attempt.phase > Attempt::Phase::kClearing) return;
  if (at_once) {
    kill_tree(attempt);
  } else if (attempt.phase == Attempt::Phase::kRunning) {
    (void)attempt.tree.send(attempt.record.intent.stop_signal(), attempt.own_child);
    if (state.suspended()) (void)attempt.tree.send(SIGCONT, attempt.own_child);
  }
  arm(attempt);
}

bool Supervisor::take_own_exit(Attempt& attempt) {
  if (!attempt.own_child) return false;
  std::optional<internal::ReapedChild> child = peek_exit(attempt.pid());
  if (!child) return false;
  note_exit(attempt, *std::move(child));
  return true;
}

void Supervisor::on_main_process(uint64_t handle) {
  Attempt* attempt = find(handle);
  if (attempt == nullptr || attempt->phase != Attempt::Phase::kRunning) return;
  if (attempt->own_child) {
    (void)take_own_exit(*attempt);
  } else {
    poller_.remove(attempt->pidfd.get());
    resolve(*attempt);
  }
}

void Supervisor::note_exit(Attempt& attempt, internal::ReapedChild child) {
  if (attempt.pidfd.valid()) poller_.remove(attempt.pidfd.get());
  attempt.look_again.reset();
  internal::JournalExit exit;
  exit.set_handle(attempt.handle());
  *exit.mutable_child() = std::move(child);
  *exit.mutable_time() = to_proto(clock_.now().wall);
  attempt.record.exit = exit;
  write_later(JournalType::kExit, exit.SerializeAsString());
  clear_tree(attempt);
}

void Supervisor::clear_tree(Attempt& attempt) {
  attempt.phase = Attempt::Phase::kClearing;
  const bool surely_alone =
      attempt.cgroup == nullptr && attempt.own_child && children_.is_known() && orphans().empty();
  const std::vector<TreeMember> members =
      surely_alone ? std::vector<TreeMember>{} : attempt.tree.scan();
  if (members.empty()) {
    drain(attempt);
    return;
  }
  if (attempt.killing) {
    kill_tree(attempt);
    return;
  }
  // An earlier launcher may have asked them to end already.
  if (!attempt.is_being_ended() && attempt.record.state.kill_boottime_ns() == 0) {
    (void)attempt.tree.send(attempt.record.intent.stop_signal(), attempt.own_child);
    const auto grace = from_proto(attempt.record.intent.stop_grace());
    const auto kill_at = (clock_.now().boot + grace).time_since_epoch().count();
    attempt.record.state.set_kill_boottime_ns(static_cast<uint64_t>(kill_at));
    write_state(attempt);
  }
  watch(attempt, members);
  arm(attempt);
}

void Supervisor::watch(Attempt& attempt, const std::vector<TreeMember>& members) {
  for (const TreeMember& member : members) {
    if (attempt.watched.size() >= kMaxWatched) break;
    if (attempt.watched.contains(member.pid) || member.pid == attempt.pid()) continue;
    UniqueFd pidfd = open_pidfd(member.pid);
    if (!pidfd.valid()) continue;  // gone already; the next look shows it
    poller_.add(pidfd.get(), PollKind::kTreeMember, attempt.handle());
    attempt.watched.emplace(member.pid, std::move(pidfd));
  }
  if (attempt.watched.empty()) attempt.look_again = clock_.now().boot;
}

void Supervisor::on_tree_member(uint64_t handle) {
  Attempt* attempt = find(handle);
  if (attempt == nullptr) return;
  std::erase_if(attempt->watched, [this](const auto& entry) {
    const auto stat = read_process_stat(entry.first);
    if (stat && stat->is_alive()) return false;
    poller_.remove(entry.second.get());
    return true;
  });
  if (attempt->watched.empty()) look_at_tree(*attempt);
  arm(*attempt);
}

void Supervisor::look_at_tree(Attempt& attempt) {
  if (attempt.phase == Attempt::Phase::kRunning) {
    if (!take_own_exit(attempt) && attempt.killing) kill_tree(attempt);
    if (!attempt.pidfd.valid()) attempt.look_again = clock_.now().boot + std::chrono::seconds(1);
    return;
  }
  if (attempt.phase != Attempt::Phase::kClearing) return;
  if (attempt.killing) {
    kill_tree(attempt);
    return;
  }
  const std::vector<TreeMember> members = attempt.tree.scan();
  if (members.empty()) {
    drain(attempt);
  } else {
    watch(attempt, members);
  }
}

void Supervisor::kill_tree(Attempt& attempt) {
  attempt.killing = true;
  JournalState& state = attempt.record.state;
  const bool is_main = attempt.phase == Attempt::Phase::kRunning;
  if (!state.killing() || (is_main && !state.main_killed())) {
    state.set_killing(true);
    state.set_main_killed(state.main_killed() || is_main);
    write_state(attempt);
  }
  const std::vector<TreeMember> members = attempt.tree.kill(attempt.own_child);
  if (members.empty() && attempt.phase == Attempt::Phase::kClearing) {
    drain(attempt);
    return;
  }
  watch(attempt, members);
  attempt.look_again = clock_.now().boot + kKillInterval;
  arm(attempt);
}

void Supervisor::drain(Attempt& attempt) {
  attempt.phase = Attempt::Phase::kDraining;
  ++draining_;
  attempt.look_again.reset();
  for (const auto& [pid, pidfd] : attempt.watched) poller_.remove(pidfd.get());
  attempt.watched.clear();
  attempt.fifos.clear();
  if (!attempt.record.intent.keep_scratch()) discard_scratch(attempt.record.intent);
  arm(attempt);
  finish_output(attempt);
}

void Supervisor::end_attempt(Attempt& attempt, v1::JobEnd end) {
  internal::JournalEnd record;
  record.set_handle(attempt.handle());
  *record.mutable_end() = std::move(end);
  *record.mutable_time() =
      attempt.record.exit ? attempt.record.exit->time() : to_proto(clock_.now().wall);
  write(JournalType::kEnd, record.SerializeAsString());
  attempt.record.end = std::move(record);
  attempt.phase = Attempt::Phase::kEnded;
  --unended_;
  ++changes_;
  arm(attempt);
  if (std::exchange(attempt.own_child, false)) reap(attempt.pid());
  attempt.pidfd.reset();
  release_cgroup(attempt);
  if (attempt.record.state.ending() == JournalState::FENCE) {
    forget_fenced(attempt);
  } else {
    news_ended_.insert(attempt.handle());
  }
}

void Supervisor::release_cgroup(Attempt& attempt) {
  attempt.tree = ProcessTree();
  if (attempt.cgroup == nullptr) return;
  const bool is_more_than_kept = cgroups_.give_back(std::move(attempt.cgroup));
  if (is_more_than_kept) spawner_->run([this] { cgroups_.trim(); });
}

void Supervisor::discard_scratch(const internal::JournalIntent& intent) {
  if (!intent.scratch_folder().empty()) scratch_->remove(intent.scratch_folder());
}

void Supervisor::end_unstarted(Attempt& attempt, v1::JobEnd::Reason reason,
                               std::string_view message) {
  write(JournalType::kIntent, attempt.record.intent.SerializeAsString());
  v1::JobEnd end;
  end.set_reason(reason);
  end.set_message(to_valid_utf8(message));
  end_attempt(attempt, std::move(end));
}

void Supervisor::end_not_started(Attempt& attempt, const absl::Status& why) {
  write(JournalType::kIntent, attempt.record.intent.SerializeAsString());
  v1::JobEnd end;
  end.set_reason(v1::JobEnd::START_FAILED);
  end.set_message(to_valid_utf8(std::string(why.message())));
  if (is_workers_fault(why)) end.set_worker_at_fault(true);
  end_attempt(attempt, std::move(end));
}

void Supervisor::reap(pid_t pid) {
  write_due();  // its status is nowhere else from here on
  (void)::waitpid(pid, nullptr, WNOHANG);
  own_children_.erase(pid);
}

std::vector<pid_t> Supervisor::orphans() const {
  std::vector<pid_t> children = children_.read();
  std::erase_if(children, [this](pid_t pid) { return own_children_.contains(pid); });
  return children;
}

void Supervisor::on_child_signal() {
  for (const pid_t pid : orphans()) {
    const auto stat = read_process_stat(pid);
    if (!stat || stat->is_alive()) continue;
    (void)::waitpid(pid, nullptr, WNOHANG);
  }
}

}  // namespace clusterd
