#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/clock.h"
#include "worker/launcher/attempt.h"
#include "worker/launcher/journal.h"
#include "worker/launcher/output_pump.h"
#include "worker/launcher/poller.h"
#include "worker/launcher/spawner.h"

namespace clusterd {

struct SupervisorOptions {
  std::string data_dir;
  std::string runtime_dir;
  ChildBaseline baseline;
};

// A journal without what is forgotten, made on a spawn thread.
struct CompactedJournal {
  absl::StatusOr<UniqueFd> file;
};
// What spawn threads and output thread tell the control thread.
using SupervisorEvent = std::variant<SpawnResult, OutputNews, CompactedJournal>;

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
  void take_up(JournalContent content);

  void on_event(SupervisorEvent event);
  // The worker's message. Its first one brings what it knows of attempts that we took up.
  void on_orders(const internal::ToLauncher& orders, std::vector<UniqueFd> descriptors);
  void on_main_process(uint64_t handle);
  void on_tree_member(uint64_t handle);
  // SIGCHLD: reaps orphans of jobs.
  void on_child_signal();
  void on_tick();

  [[nodiscard]] std::optional<BootTime> next_deadline() const;
  // True while an attempt is held that has not ended.
  [[nodiscard]] bool holds_job() const;
  // All that is held; what was to be told before it is in it. The descriptors follow as news.
  [[nodiscard]] internal::LauncherHello hello();
  // What is to be told since; absent if nothing is. Bounded in size: ask again.
  [[nodiscard]] std::optional<News> take_news();

 private:
  using Handle = uint64_t;

  // Orders (supervisor_orders.cc).
  void launch(const internal::LaunchPlan& plan);
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
  void on_output_finished(const OutputFinished& finished);
  void end_attempt(Attempt& attempt, v1::JobEnd end);
  void end_unstarted(Attempt& attempt, v1::JobEnd::Reason reason, std::string_view message);

  // Taking up (supervisor_takeover.cc).
  void adopt(JournalAttempt record);
  void reopen_fifos(Attempt& attempt);
  void resolve(Attempt& attempt);
  void resolve_without_process(Attempt& attempt, bool is_zombie);
  void on_reaped(const internal::ReapedChild& child);
  void on_passed(const internal::ToLauncher& orders, std::vector<UniqueFd> descriptors);
  void remove_strange_fifos();

  // Bookkeeping (supervisor.cc).
  [[nodiscard]] Attempt* find(const v1::AttemptKey& key);
  [[nodiscard]] Attempt* find(Handle handle);
  Attempt& insert(JournalAttempt record);
  void erase(Handle handle);
  void write(JournalType type, std::string_view body);
  void write_state(Attempt& attempt);
  void arm(Attempt& attempt);
  [[nodiscard]] std::optional<BootTime> deadline_of(const Attempt& attempt) const;
  [[nodiscard]] std::optional<BootTime> timeout_of(const Attempt& attempt) const;
  [[nodiscard]] std::optional<BootTime> fence_of(const Attempt& attempt) const;
  void on_deadline(Attempt& attempt);
  void compact_if_due();
  void on_compacted(CompactedJournal compacted);
  [[nodiscard]] internal::LaunchedAttempt describe(const Attempt& attempt) const;
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
  size_t in_flight_ = 0;  // orders that the spawner has
  BootTime contact_{};    // when the scheduler was last heard
  BootTime contact_written_{};
  bool worker_greeted_ = false;
  size_t forgotten_ = 0;  // since the last compaction
  bool compacting_ = false;
  bool compaction_runs_ = false;
  std::string written_meanwhile_;      // while it runs
  std::vector<SpawnOrder> held_back_;  // until it is done
  std::set<Handle> news_started_;
  std::set<Handle> news_ended_;
  std::vector<v1::AttemptKey> news_gone_;  // fenced: that nothing is left of it is all that is told
  std::set<Handle> news_suspension_;
  std::set<Handle> news_descriptors_;
  std::set<std::pair<Handle, size_t>> news_growth_;  // index into outputs
  std::unique_ptr<OutputPump> pump_;
  std::unique_ptr<Spawner> spawner_;
};

}  // namespace clusterd
