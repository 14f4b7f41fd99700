// The launcher becomes another executable in place: same process, same children, same pipes.
#include "core/log.h"
#include "core/utf8.h"
#include "worker/executable_file.h"
#include "worker/launcher/supervisor.h"

namespace clusterd {

void Supervisor::upgrade(const std::string& executable) {
  const bool is_ours = executable_id(executable) == executable_id(kOwnExecutable);
  if (is_ours || executable.empty() || !upgrade_to_.empty()) return;
  log_info("launcher", "trying another executable", {{"executable", executable}});
  upgrade_to_ = executable;
  upgrade_tried_ = false;
  ++in_flight_;
  spawner_->run([this, executable] {
    post_(TriedExecutable{try_executable(executable, {"launcher", kCanReplace})});
  });
}

void Supervisor::on_tried(const TriedExecutable& tried) {
  --in_flight_;
  if (tried.status.ok()) {
    upgrade_tried_ = true;
  } else {
    on_upgrade_failed(tried.status);
  }
}

std::optional<std::string> Supervisor::upgrade_due() const {
  const bool is_quiet = in_flight_ == 0 && draining_ == 0 && !compaction_runs_;
  if (!upgrade_tried_ || !is_quiet) return std::nullopt;
  return upgrade_to_;
}

void Supervisor::on_upgrade_failed(const absl::Status& why) {
  log_error("launcher", "goes on as it is: the other executable cannot take over",
            {{"executable", upgrade_to_}, {"error", why}});
  upgrade_refused_ = upgrade_to_ + ": " + to_valid_utf8(std::string(why.message()));
  upgrade_to_.clear();
  upgrade_tried_ = false;
  start_held_back();
}

internal::Inheritance Supervisor::bequeath(KeptDescriptors* kept) const {
  internal::Inheritance inheritance;
  const auto add = [&](const Attempt& attempt, int number) {
    kept->keep(number);
    internal::Inheritance::Descriptor* descriptor = inheritance.add_descriptors();
    descriptor->set_number(number);
    *descriptor->mutable_what()->mutable_key() = attempt.key();
    return descriptor->mutable_what();
  };
  for (const auto& [handle, attempt] : attempts_) {
    if (attempt->phase == Attempt::Phase::kEnded) continue;
    const bool is_archiving = attempt->phase == Attempt::Phase::kArchiving;
    const UniqueFd& pidfd = is_archiving ? attempt->archive.pidfd : attempt->pidfd;
    if (pidfd.valid()) {
      internal::PassedDescriptor* what = add(*attempt, pidfd.get());
      what->set_kind(internal::PassedDescriptor::PIDFD);
      what->set_pid(is_archiving ? attempt->archive.pid : attempt->pid());
    }
    for (const auto& [stream, fd] : attempt->fifos) {
      internal::PassedDescriptor* what = add(*attempt, fd);
      what->set_kind(internal::PassedDescriptor::FIFO);
      what->set_stream(stream);
    }
  }
  const ChildBaseline& baseline = options_.baseline;
  inheritance.set_oom_score_adj(baseline.oom_score_adj);
  inheritance.set_open_files_soft(baseline.open_files.rlim_cur);
  inheritance.set_open_files_hard(baseline.open_files.rlim_max);
  return inheritance;
}

}  // namespace clusterd
