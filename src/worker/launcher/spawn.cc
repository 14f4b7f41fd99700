#include "worker/launcher/spawn.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/worker_fault.h"
#include "worker/launcher/child_setting.h"
#include "worker/launcher/pipe_keeper.h"
#include "worker/launcher/spawn_child.h"
#include "worker/launcher/spawn_failure.h"
#include "worker/process_info.h"

namespace clusterd {
namespace {

// What the child gets as standard input, output and error.
struct StandardFiles {
  UniqueFd input;            // invalid: /dev/null
  std::vector<int> outputs;  // the launcher's pipes
};

absl::Status errno_status(const std::string& what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

absl::Status append_intent(const SpawnOrder& order) {
  const std::string record = make_record(JournalType::kIntent, order.intent.SerializeAsString());
  const ssize_t written = ::write(order.journal_fd, record.data(), record.size());
  if (written == static_cast<ssize_t>(record.size())) return absl::OkStatus();
  if (written >= 0) errno = ENOSPC;
  return errno_status("cannot write the launcher's journal");
}

// Invalid where there are none: /dev/null will do.
absl::StatusOr<UniqueFd> open_input(const std::string& bytes, const HandoverFds& handover) {
  if (bytes.empty() && handover.null() < 0) return absl::UnavailableError("/dev/null is not there");
  if (bytes.empty()) return UniqueFd();
  UniqueFd file(::memfd_create("stdin", MFD_CLOEXEC));
  if (!file.valid() ||
      ::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
      ::lseek(file.get(), 0, SEEK_SET) != 0) {
    return errno_status("standard input");
  }
  return file;
}

bool make_fifo(const std::string& path) {
  if (::mkfifo(path.c_str(), 0600) == 0) return true;
  // One of an earlier journal.
  return errno == EEXIST && ::unlink(path.c_str()) == 0 && ::mkfifo(path.c_str(), 0600) == 0;
}

absl::Status make_pipes(const SpawnOrder& order, StandardFiles* files,
                        std::vector<OutputPipe>* pipes) {
  const internal::JournalIntent& intent = order.intent;
  for (const v1::OutputStream::Stream stream : streams_of(intent)) {
    const std::string path = fifo_path(intent, stream);
    if (!make_fifo(path)) return errno_status(path);
    absl::StatusOr<UniqueFd> pipe = open_fifo(path);
    if (!pipe.ok()) return pipe.status();
    files->outputs.push_back(pipe->get());
    pipes->push_back({stream, *std::move(pipe), path});
    if (auto status = give_to_user(path, order.plan); !status.ok()) return status;
  }
  return absl::OkStatus();
}

std::vector<char*> pointers_to(google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

rlimit both(uint64_t limit) { return {limit, limit}; }

// What bounds a child: from the limits of its plan, else as the launcher found it.
struct ChildBounds {
  rlimit open_files{};
  rlimit core{};
  int nice = 0;
  std::vector<int> doors;

  void add_to(const v1::Limits& limits, ChildPlan* plan) const {
    plan->open_files = open_files;
    if (limits.has_core_bytes()) plan->core = &core;
    if (limits.has_nice()) plan->nice = &nice;
    plan->doors = doors.data();
  }
};

ChildBounds bounds_of(const v1::Limits& limits, const ChildBaseline& baseline) {
  return {.open_files = limits.has_open_files() ? both(limits.open_files()) : baseline.open_files,
          .core = both(limits.core_bytes()),
          .nice = limits.nice(),
          .doors = {}};
}

// Starts the process and fills `result`; its status is set where that failed.
void start_process(SpawnOrder& order, const ChildBaseline& baseline, const StandardFiles& files,
                   HandoverFds& handover, bool can_clone, SpawnResult* result) {
  const SpawnTarget target = target_of(order.plan);
  ChildSetting setting;
  result->status = setting.prepare(order.plan);
  if (!result->status.ok()) return;
  ChildBounds bounds = bounds_of(order.plan.limits(), baseline);
  if (result->cgroup != nullptr) {
    result->status = result->cgroup->open_doors(can_clone, &bounds.doors);
    if (!result->status.ok()) {
      result->status = by_workers_fault(std::move(result->status));
      return;
    }
  }
  for (int& door : bounds.doors) door = handover.put(door);
  bounds.doors.push_back(-1);
  const std::vector<char*> argv = pointers_to(*order.plan.mutable_argv());
  const std::vector<char*> environment = pointers_to(*order.plan.mutable_environment());
  std::vector<int> ignored = baseline.ignored_signals;
  ignored.push_back(0);
  FixedRecord<JournalSpawned> spawned{};
  spawned.body.handle = order.handle;
  std::copy_n(baseline.boot_id.begin(), std::min(baseline.boot_id.size(), kUuidChars),
              spawned.body.boot_id.begin());
  FixedRecord<JournalSpawnFailed> failed{};
  failed.body.handle = order.handle;
  const int output = handover.put(files.outputs.front());
  ChildPlan plan{
      .executable = order.plan.executable().c_str(),
      .argv = argv.data(),
      .environment = environment.data(),
      .working_folder = order.plan.working_folder().c_str(),
      .input = files.input.valid() ? handover.put(files.input.get()) : handover.null(),
      .output = output,
      .error = files.outputs.size() == 1 ? output : handover.put(files.outputs.back()),
      .journal = handover.put(order.journal_fd),
      .oom_score_adj = baseline.oom_score_adj.empty() ? nullptr : baseline.oom_score_adj.c_str(),
      .cgroup = result->cgroup != nullptr && can_clone ? result->cgroup->clone_target() : -1,
      .ignored_signals = ignored.data(),
      .spawned = &spawned,
      .failed = &failed};
  bounds.add_to(order.plan.limits(), &plan);
  setting.add_to(plan);
  plan.sealed_script = handover.put(plan.sealed_script);
  plan.child = order.child;
  plan.end_of_files = handover.end();
  const pid_t pid = vfork_child(plan);
  handover.clear();
  if (order.child != nullptr) *order.child = 0;
  if (pid < 0) {
    result->status = describe_spawn_failure(SpawnStage::kPrepare, errno, target);
    return;
  }
  if (failed.body.error != 0) {
    (void)::waitpid(pid, nullptr, 0);
    result->status = describe_spawn_failure(failed.body.stage, failed.body.error, target);
    return;
  }
  if (spawned.header.type == 0) {  // no record of it: somebody's KILL was faster
    (void)::waitpid(pid, nullptr, 0);
    result->status = absl::UnavailableError("it was killed before it started");
    return;
  }
  result->pidfd = open_pidfd(pid);
  result->spawned = spawned.body;
}

SpawnResult without_cgroup(SpawnResult result, CgroupPool& cgroups) {
  const bool is_more_than_kept =
      result.cgroup != nullptr && cgroups.give_back(std::exchange(result.cgroup, nullptr));
  if (is_more_than_kept) cgroups.trim();
  return result;
}

void remove_fifos(const internal::JournalIntent& intent) {
  for (const v1::OutputStream::Stream stream : streams_of(intent)) {
    (void)::unlink(fifo_path(intent, stream).c_str());
  }
}

}  // namespace

std::string fifo_path(const internal::JournalIntent& intent, v1::OutputStream::Stream stream) {
  return absl::StrCat(intent.runtime_dir(), "/fifo/", intent.handle(), ".",
                      static_cast<int>(stream));
}

std::vector<v1::OutputStream::Stream> streams_of(const internal::JournalIntent& intent) {
  if (intent.output_mode() == v1::OutputSpec::SEPARATE) {
    return {v1::OutputStream::STDOUT, v1::OutputStream::STDERR};
  }
  return {v1::OutputStream::MERGED};
}

absl::StatusOr<UniqueFd> open_fifo(const std::string& path) {
  UniqueFd fifo(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fifo.valid()) return errno_status(path);
  return fifo;
}

absl::StatusOr<UniqueFd> reopen_fifo(const std::string& path, bool* was_lost) {
  // All who hold it hold both ends, and a FIFO without a reader cannot be opened so. Kept open
  // until we have ours: its holders may end in between.
  const UniqueFd probe(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (!probe.valid() && errno == ENXIO) *was_lost = true;
  return open_fifo(path);
}

SpawnResult spawn(SpawnOrder order, const ChildBaseline& baseline, CgroupPool& cgroups,
                  HandoverFds& handover) {
  SpawnResult result;
  result.handle = order.handle;
  absl::StatusOr<std::unique_ptr<JobCgroup>> cgroup = cgroups.take(order.plan.limits());
  if (!cgroup.ok()) {
    result.status = by_workers_fault(absl::UnavailableError(
        absl::StrCat("limits cannot be enforced: ", cgroup.status().message())));
    return result;
  }
  result.cgroup = *std::move(cgroup);
  if (result.cgroup != nullptr) *order.intent.mutable_cgroup() = result.cgroup->use();
  result.status = append_intent(order);
  if (!result.status.ok()) result.status = by_workers_fault(std::move(result.status));
  if (!result.status.ok()) return without_cgroup(std::move(result), cgroups);
  result.in_journal = true;
  StandardFiles files;
  absl::StatusOr<UniqueFd> input = open_input(order.plan.stdin(), handover);
  result.status = input.status();
  if (input.ok()) {
    files.input = *std::move(input);
    result.status = make_pipes(order, &files, &result.pipes);
  }
  if (result.status.ok() && order.scratch != nullptr) {
    result.status = order.scratch->make(order.plan);
  }
  // The journal, the pipes in runtime_dir, the scratch folder: nothing of it is the job's.
  if (!result.status.ok()) result.status = by_workers_fault(std::move(result.status));
  if (result.status.ok() && order.keeper != nullptr) {
    result.pipes_kept = order.keeper->keep(order.intent.key(), result.pipes);
  }
  if (result.status.ok()) {
    start_process(order, baseline, files, handover, cgroups.can_clone(), &result);
  }
  if (!result.status.ok()) {
    if (order.scratch != nullptr && !order.intent.scratch_folder().empty()) {
      order.scratch->remove(order.intent.scratch_folder());
    }
    result.pipes.clear();
    remove_fifos(order.intent);
    return without_cgroup(std::move(result), cgroups);
  }
  return result;
}

}  // namespace clusterd
