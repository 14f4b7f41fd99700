#include <dirent.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/log.h"
#include "core/proto_time.h"
#include "worker/launcher/spawn_failure.h"
#include "worker/launcher/supervisor.h"
#include "worker/output_log.h"
#include "worker/process_info.h"

namespace clusterd {
namespace {

// Looks for the status of a process that has ended, from 5 ms on, each twice as long after the
// last: 5 s in all for one that is gone, whose reaper would have told us by then; 80 s for a zombie
// of a slow init.
constexpr std::chrono::milliseconds kFirstWait{5};
constexpr int kTriesWhenGone = 10;
constexpr int kTriesWhenZombie = 14;
// The worker, which reaps a process that we only see, tells what it used as well: within moments,
// so its status is taken from what we see 75 ms later.
constexpr int kTriesForUsage = 4;

// How long the log of a stream is; one that cannot be read counts as empty.
v1::OutputStream extent_of(const v1::AttemptKey& key, const std::string& folder,
                           v1::OutputStream::Stream stream) {
  v1::OutputStream extent;
  extent.set_stream(stream);
  absl::StatusOr<OutputReader> reader = OutputReader::open(folder, stream);
  if (!reader.ok()) return extent;
  const absl::StatusOr<v1::OutputStream> read = reader->extent();
  if (read.ok()) return *read;
  log_error("launcher", "the length of an output is unknown",
            {{"job_id", key.job_id()}, {"attempt", key.attempt()}, {"error", read.status()}});
  return extent;
}

}  // namespace

void Supervisor::take_up(JournalContent content, Inherited inherited) {
  next_handle_ = content.next_handle;
  // What a run of the machine before this one heard may lie in this one's future.
  const BootTime heard{std::chrono::nanoseconds(content.contact_boottime_ns)};
  contact_ = std::min(heard, clock_.now().boot);
  for (auto& [handle, record] : content.attempts) adopt(std::move(record), inherited);
  remove_strange_fifos();
  cgroups_.remove_strange();
  write_due();
}

void Supervisor::adopt(JournalAttempt record, Inherited& inherited) {
  const uint64_t handle = record.intent.handle();
  Attempt& attempt = insert(std::move(record));
  JournalAttempt& known = attempt.record;
  if (known.end) {
    attempt.phase = Attempt::Phase::kEnded;
    --unended_;
    return;
  }
  if (known.spawn_failed) {
    discard_scratch(known.intent);
    const absl::Status status = describe_spawn_failure(
        known.spawn_failed->stage, known.spawn_failed->error,
        {.executable = known.intent.executable(), .user = known.intent.run_as().name()});
    end_not_started(attempt, status);
    return;
  }
  if (!known.spawned) {
    // The lock that children hold until their execve was free: it will not start any more. The
    // worker sees that it is not held and sends it again.
    write(JournalType::kForgotten, {reinterpret_cast<const char*>(&handle), sizeof(handle)});
    erase(handle);
    return;
  }
  const JournalSpawned& spawned = *known.spawned;
  const bool is_other_boot =
      std::string_view(spawned.boot_id.data(), kUuidChars) != options_.baseline.boot_id;
  if (known.state.has_archive()) {
    const auto& outputs = known.state.end_before_archive().outputs();
    attempt.outputs.assign(outputs.begin(), outputs.end());
    attempt.archive.pidfd = inherited.take_pidfd(attempt.key(), known.state.archive().pid());
    return resume_archive(attempt, is_other_boot);
  }
  if (is_other_boot) {
    end_lost_with_machine(attempt);
  } else {
    adopt_process(attempt, inherited);
  }
}

void Supervisor::end_lost_with_machine(Attempt& attempt) {
  if (!attempt.record.intent.keep_scratch()) discard_scratch(attempt.record.intent);
  v1::JobEnd end;
  end.set_reason(v1::JobEnd::WORKER_LOST);
  end.set_message(
      "the machine restarted while it ran; output that had not reached the disk is gone");
  const std::string folder = output_folder(options_.data_dir, attempt.key());
  for (const v1::OutputStream::Stream stream : streams_of(attempt.record.intent)) {
    *end.add_outputs() = extent_of(attempt.key(), folder, stream);
  }
  end_attempt(attempt, std::move(end));
}

void Supervisor::adopt_process(Attempt& attempt, Inherited& inherited) {
  JournalAttempt& known = attempt.record;
  const JournalSpawned& spawned = *known.spawned;
  attempt.lost_before = known.state.lost_bytes();
  if (known.state.running_since_ns() == 0) {
    known.state.set_running_since_ns(static_cast<uint64_t>(spawned.boottime_ns));
  }
  attempt.phase = Attempt::Phase::kRunning;
  if (known.intent.has_cgroup()) attempt.cgroup = cgroups_.take_up(known.intent.cgroup());
  attempt.tree = ProcessTree(attempt.pid(), spawned.start_ticks, attempt.cgroup.get());
  if (!known.intent.scratch_folder().empty()) scratch_->hold(known.intent.scratch_folder());
  reopen_fifos(attempt, inherited);
  const auto stat = read_process_stat(attempt.pid());
  const bool is_same = stat && stat->start_ticks == spawned.start_ticks;
  // Ours it is where it was before this process became another executable.
  attempt.own_child = is_same && stat->parent == ::getpid();
  if (attempt.own_child) own_children_.insert(attempt.pid());
  if (known.exit) {
    clear_tree(attempt);
    return;
  }
  attempt.pidfd = inherited.take_pidfd(attempt.key(), attempt.pid());
  if (!attempt.pidfd.valid() && is_same) attempt.pidfd = open_pidfd(attempt.pid());
  if (attempt.pidfd.valid()) {
    poller_.add(attempt.pidfd.get(), PollKind::kMainProcess, attempt.handle());
  }
  arm(attempt);
}

void Supervisor::reopen_fifos(Attempt& attempt, Inherited& inherited) {
  const std::string folder = output_folder(options_.data_dir, attempt.key());
  std::vector<OutputPipe> pipes;
  bool was_lost = false;
  for (const v1::OutputStream::Stream stream : streams_of(attempt.record.intent)) {
    attempt.outputs.push_back(extent_of(attempt.key(), folder, stream));
    const std::string path = fifo_path(attempt.record.intent, stream);
    absl::StatusOr<UniqueFd> fifo = inherited.take_fifo(attempt.key(), stream);
    if (!fifo->valid()) fifo = reopen_fifo(path, &was_lost);
    if (!fifo.ok()) {
      log_error("launcher", "output of a running job is out of reach",
                {{"job_id", attempt.key().job_id()},
                 {"attempt", attempt.key().attempt()},
                 {"error", fifo.status()}});
      continue;
    }
    pipes.push_back({stream, *std::move(fifo), path});
  }
  for (const OutputPipe& pipe : pipes) attempt.fifos.emplace_back(pipe.stream, pipe.fd.get());
  carry_output(attempt, std::move(pipes));
  if (!was_lost || attempt.record.state.pipe_was_lost()) return;
  attempt.record.state.set_pipe_was_lost(true);
  write_state(attempt);
}

void Supervisor::resolve(Attempt& attempt) {
  const auto stat = read_process_stat(attempt.pid());
  const bool is_same = stat && stat->start_ticks == attempt.record.spawned->start_ticks;
  if (is_same && stat->is_alive()) return;
  std::optional<int>& status = attempt.status_from_outside;
  const bool has_waited = status.has_value();
  if (!status) status = exit_status_by_pidfd(attempt.pidfd);
  if (!status && is_same && may_see_wait_status(attempt.pid())) {
    status = stat->wait_status;
    // Still there? Else the number was already another's when its permissions were looked at.
    const auto again = read_process_stat(attempt.pid());
    if (!again || again->start_ticks != stat->start_ticks) status.reset();
  }
  if (!status) return resolve_without_status(attempt, is_same);
  const bool worker_reaps = is_same && stat->parent == ::getppid() && stat->parent != 1;
  const bool usage_may_come = worker_reaps || has_waited;
  if (usage_may_come && attempt.resolve_tries < kTriesForUsage) return resolve_later(attempt);
  internal::ReapedChild child;
  child.set_pid(attempt.pid());
  child.set_wait_status(*status);
  note_exit(attempt, std::move(child));
}

void Supervisor::resolve_later(Attempt& attempt) {
  attempt.look_again = clock_.now().boot + kFirstWait * (1 << attempt.resolve_tries++);
  arm(attempt);
}

std::optional<int> Supervisor::exit_status_by_pidfd(const UniqueFd& pidfd) const {
  if (!options_.asks_pidfd_info || !pidfd.valid()) return std::nullopt;
  return reaped_wait_status(pidfd.get());
}

void Supervisor::resolve_without_status(Attempt& attempt, bool is_zombie) {
  if (!worker_greeted_) return;  // its first message may tell
  const int tries = is_zombie ? kTriesWhenZombie : kTriesWhenGone;
  const bool can_learn = attempt.pidfd.valid() || is_zombie;
  if (can_learn && attempt.resolve_tries < tries) return resolve_later(attempt);
  clear_tree(attempt);
}

void Supervisor::on_reaped(const internal::ReapedChild& child) {
  for (const auto& [handle, attempt] : attempts_) {
    const bool waits = attempt->phase == Attempt::Phase::kRunning && !attempt->own_child;
    if (waits && attempt->pid() == child.pid()) return note_exit(*attempt, child);
    if (attempt->waits_for_archive() && attempt->archive.pid == child.pid()) {
      return note_archive_exit(*attempt, child.wait_status());
    }
  }
}

void Supervisor::on_passed(const internal::ToLauncher& orders, std::vector<UniqueFd> descriptors) {
  const auto count = std::min(descriptors.size(), static_cast<size_t>(orders.descriptors_size()));
  for (size_t i = 0; i < count; ++i) {
    const internal::PassedDescriptor& passed = orders.descriptors(static_cast<int>(i));
    Attempt* attempt = find(passed.key());
    if (passed.kind() != internal::PassedDescriptor::PIDFD || attempt == nullptr) continue;
    const bool waits = attempt->phase == Attempt::Phase::kRunning && !attempt->own_child;
    // An earlier version did not say the number; what it passed was the main process.
    const bool is_main = passed.pid() == 0 || passed.pid() == attempt->pid();
    if (waits && is_main && !attempt->pidfd.valid()) attempt->pidfd = std::move(descriptors[i]);
    if (!attempt->waits_for_archive() || passed.pid() != attempt->archive.pid) continue;
    if (!attempt->archive.pidfd.valid()) attempt->archive.pidfd = std::move(descriptors[i]);
  }
}

void Supervisor::remove_strange_fifos() {
  std::set<std::string> ours;
  for (const auto& [handle, attempt] : attempts_) {
    if (attempt->phase == Attempt::Phase::kEnded) continue;
    for (const v1::OutputStream::Stream stream : streams_of(attempt->record.intent)) {
      ours.insert(fifo_path(attempt->record.intent, stream));
    }
  }
  const std::string folder = options_.runtime_dir + "/fifo";
  const auto close = [](DIR* open) { (void)::closedir(open); };
  const std::unique_ptr<DIR, decltype(close)> open(::opendir(folder.c_str()), close);
  if (open == nullptr) return;
  while (const dirent* entry = ::readdir(open.get())) {
    const std::string path = folder + "/" + entry->d_name;
    if (entry->d_name[0] != '.' && !ours.contains(path)) (void)::unlink(path.c_str());
  }
}

}  // namespace clusterd
