#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "worker/inheritance.h"
#include "worker/launcher/attempt.h"
#include "worker/launcher/cgroup_pool.h"
#include "worker/launcher/journal.h"
#include "worker/launcher/output_pump.h"
#include "worker/launcher/pipe_keeper.h"
#include "worker/launcher/poller.h"
#include "worker/launcher/spawner.h"
#include "worker/launcher/supervisor_event.h"
#include "worker/launcher/thread_children.h"

namespace clusterd {

struct SupervisorOptions {
  std::string data_dir;
  std::string runtime_dir;
  ChildBaseline baseline;
  CgroupMode cgroups = CgroupMode::kAuto;
  std::string cgroup_parent;    // as CgroupHome::open() takes it
  bool asks_pidfd_info = true;  // false: as on a kernel before 6.15
};

// A message for the worker with the descriptors beside it.
struct News {
  internal::FromLauncher message;
  std::vector<int> descriptors;  // the supervisor's
};

// Starts, watches and ends the attempts, and remembers them in the journal.
//
// Owned by the control loop, which brings it every event; control thread only. It ends when the
// launcher does and leaves processes and journal to the next one.
class Supervisor {
 public:
  // `clock` and `poller` outlive this; `post` takes events from any thread to on_event.
  Supervisor(SupervisorOptions options, Journal journal, const Clock& clock, Poller& poller,
             std::function<void(SupervisorEvent)> post);
  ~Supervisor();

  // Takes on what an earlier launcher held. Once, first.
  void take_up(JournalContent content, Inherited inherited);

  void on_event(SupervisorEvent event);
  // The worker's message. Its first one brings what it knows of attempts that we took up.
  void on_orders(internal::ToLauncher orders, std::vector<UniqueFd> descriptors);
  void on_main_process(uint64_t handle);
  void on_tree_member(uint64_t handle);
  void on_archive_process(uint64_t handle);
  void on_first_output(uint64_t handle);
  // SIGCHLD: reaps orphans of jobs.
  void on_child_signal();
  // A child of this process that is the caller's, until the caller has reaped it.
  void keep_child(pid_t pid) { own_children_.insert(pid); }
  void drop_child(pid_t pid) { own_children_.erase(pid); }
  // Runs a task that may block, on another thread.
  void run(absl::AnyInvocable<void()> task) { spawner_->run(std::move(task)); }
  // Stops all that runs, as a stop order does.
  void stop_all();
  void on_tick();

  [[nodiscard]] std::optional<BootTime> next_deadline() const;
  // How many attempts have started or ended since the last call.
  [[nodiscard]] size_t take_changes() { return std::exchange(changes_, 0); }
  // True while an attempt is held that has not ended.
  [[nodiscard]] bool holds_job() const;
  // All that is held; what was to be told before it is in it. The descriptors follow as news.
  // `worker`: who is greeted.
  [[nodiscard]] internal::LauncherHello hello(pid_t worker);
  // Its way to FIFOs of attempts that are being started; goes with the hello. Invalid: none.
  [[nodiscard]] UniqueFd open_pipe_channel() { return keeper_->open(); }
  void close_pipe_channel() { keeper_->close(); }
  // What is to be told since; absent if nothing is. Bounded in size: ask again.
  [[nodiscard]] bool has_news() const;
  // Some of it brings descriptors.
  [[nodiscard]] bool has_descriptors_to_pass() const { return !news_descriptors_.empty(); }
  [[nodiscard]] std::optional<News> take_news();

  // Upgrades in place (supervisor_upgrade.cc): tries the executable, holds new starts back, and
  // says when none is under way, so that the process can be replaced.
  void upgrade(const std::string& executable);
  [[nodiscard]] std::optional<std::string> upgrade_due() const;
  // What the next executable is to go on with; `kept` keeps the descriptors open for it.
  [[nodiscard]] internal::Inheritance bequeath(KeptDescriptors* kept) const;
  // Goes on as before, and tells the worker.
  void on_upgrade_failed(const absl::Status& why);

 private:
  using Handle = uint64_t;

  // Orders (supervisor_orders.cc).
  void launch(internal::LaunchPlan plan);
  void begin_spawn(SpawnOrder order);
  void stop(const v1::AttemptKey& key);
  void fence(const v1::AttemptKey& key);
  void signal(const internal::SignalOrder& order);
  void forget(const v1::AttemptKey& key);
  void forget_fenced(const Attempt& attempt);
  void on_contact(uint64_t boottime_ns);
  [[nodiscard]] bool unspawn(Handle handle);
  void on_spawn_result(SpawnResult result);
  void on_started(Attempt& attempt, SpawnResult result);

  // Endings (supervisor_endings.cc).
  void begin_ending(Attempt& attempt, internal::JournalState::Ending why);
  void note_exit(Attempt& attempt, internal::ReapedChild child);
  [[nodiscard]] bool take_own_exit(Attempt& attempt);
  void clear_tree(Attempt& attempt);
  void look_at_tree(Attempt& attempt);
  void kill_tree(Attempt& attempt);
  void watch(Attempt& attempt, const std::vector<TreeMember>& members);
  void drain(Attempt& attempt);
  void end_attempt(Attempt& attempt, v1::JobEnd end);
  void release_cgroup(Attempt& attempt);
  void discard_scratch(const internal::JournalIntent& intent);
  void end_unstarted(Attempt& attempt, v1::JobEnd::Reason reason, std::string_view message);
  // It could not be started, for this reason.
  void end_not_started(Attempt& attempt, const absl::Status& why);

  // Output (supervisor_output.cc).
  void wait_for_output(Attempt& attempt, std::vector<OutputPipe> pipes);
  void carry_output(Attempt& attempt, std::vector<OutputPipe> pipes);
  [[nodiscard]] std::vector<OutputPipe> take_silent(Attempt& attempt);
  void finish_output(Attempt& attempt);
  void on_output_news(OutputNews news);
  void on_output_grown(const OutputGrown& grown);
  void on_output_lost(const OutputLost& lost);
  void on_output_limit(const OutputLimitMet& met);
  void on_output_finished(const OutputFinished& finished);

  // Archive commands (supervisor_archive.cc).
  void finish(Attempt& attempt, v1::JobEnd end);
  void on_archive_started(ArchiveStarted started);
  void resume_archive(Attempt& attempt, bool is_other_boot);
  void look_at_archive(Attempt& attempt);
  void note_archive_exit(Attempt& attempt, int wait_status);
  void kill_archive(Attempt& attempt);
  void end_archived(Attempt& attempt, v1::ArchiveResult result);

  // Taking up (supervisor_takeover.cc).
  void adopt(JournalAttempt record, Inherited& inherited);
  void end_lost_with_machine(Attempt& attempt);
  void adopt_process(Attempt& attempt, Inherited& inherited);
  void reopen_fifos(Attempt& attempt, Inherited& inherited);
  void resolve(Attempt& attempt);
  void resolve_later(Attempt& attempt);
  void resolve_without_status(Attempt& attempt, bool is_zombie);
  [[nodiscard]] std::optional<int> exit_status_by_pidfd(const UniqueFd& pidfd) const;
  void on_reaped(const internal::ReapedChild& child);
  void on_passed(const internal::ToLauncher& orders, std::vector<UniqueFd> descriptors);
  void remove_strange_fifos();

  void on_tried(const TriedExecutable& tried);
  [[nodiscard]] bool holds_starts_back() const { return compacting_ || !upgrade_to_.empty(); }
  void start_held_back();

  // Bookkeeping (supervisor.cc).
  void reap(pid_t pid);
  // Children of this thread, which jobs' orphans fall to, that are no jobs. Jobs are children of
  // the spawn threads, or of this one where the executable was replaced meanwhile.
  [[nodiscard]] std::vector<pid_t> orphans() const;
  [[nodiscard]] Attempt* find(const v1::AttemptKey& key);
  [[nodiscard]] Attempt* find(Handle handle);
  Attempt& insert(JournalAttempt record);
  void erase(Handle handle);
  void write(JournalType type, std::string_view body);
  // With the next record that is written, or when the turn ends: nothing is told or reaped before.
  void write_later(JournalType type, std::string_view body);
  void write_due();
  void write_state(Attempt& attempt);
  void arm(Attempt& attempt);
  [[nodiscard]] std::optional<BootTime> deadline_of(const Attempt& attempt) const;
  [[nodiscard]] std::optional<BootTime> timeout_of(const Attempt& attempt) const;
  [[nodiscard]] static std::optional<BootTime> archive_until(const Attempt& attempt);
  [[nodiscard]] std::optional<BootTime> fence_of(const Attempt& attempt) const;
  void on_deadline(Attempt& attempt);
  void compact_if_due();
  void on_compacted(CompactedJournal compacted);
  [[nodiscard]] internal::LaunchedAttempt describe(const Attempt& attempt) const;
  void tell_started(const Attempt& attempt);
  [[nodiscard]] bool has_descriptors_for_worker(const Attempt& attempt) const;
  void add_descriptors(const Attempt& attempt, News* news) const;

  const SupervisorOptions options_;
  const Clock& clock_;
  Poller& poller_;
  const std::function<void(SupervisorEvent)> post_;
  Journal journal_;
  uint64_t next_handle_ = 1;
  std::map<Handle, std::unique_ptr<Attempt>> attempts_;
  std::map<std::pair<std::string, uint32_t>, Handle> by_key_;
  std::set<std::pair<BootTime, Handle>> timers_;
  size_t unended_ = 0;
  size_t changes_ = 0;
  size_t in_flight_ = 0;                    // orders that the spawner has
  size_t draining_ = 0;                     // attempts whose pipes the output pump is closing
  std::unordered_set<pid_t> own_children_;  // processes that we reap when their time has come
  const ThreadChildren children_;
  std::string upgrade_to_;       // empty: no upgrade is under way
  bool upgrade_tried_ = false;   // and it works
  std::string upgrade_refused_;  // to be told
  BootTime contact_{};           // when the scheduler was last heard
  BootTime contact_written_{};
  bool worker_greeted_ = false;
  bool worker_is_parent_ = false;  // jobs fall to it when this process ends
  size_t forgotten_ = 0;           // since the last compaction
  bool compacting_ = false;
  bool compaction_runs_ = false;
  std::string written_meanwhile_;      // while it runs
  std::string due_;                    // records that wait for others
  std::vector<SpawnOrder> held_back_;  // until it is done
  std::set<Handle> news_started_;
  std::set<Handle> news_ended_;
  std::vector<v1::AttemptKey> news_gone_;  // fenced: that nothing is left of it is all that is told
  std::set<Handle> news_suspension_;
  std::set<Handle> news_descriptors_;
  std::set<std::pair<Handle, size_t>> news_growth_;  // index into outputs
  std::vector<OutputFinished> finished_silent_;      // until the turn ends
  CgroupPool cgroups_;
  std::unique_ptr<OutputPump> pump_;
  std::unique_ptr<ScratchFolders> scratch_;
  std::unique_ptr<PipeKeeper> keeper_;
  std::unique_ptr<Spawner> spawner_;
};

}  // namespace clusterd
