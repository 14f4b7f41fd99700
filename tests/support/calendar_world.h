#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/scheduler.h"
#include "support/memory_store.h"

namespace clusterd {

// Schedulers that come and go over one store, in virtual time, without any worker.
//
// Owned by a test.
class CalendarWorld {
 public:
  // A job as it was first committed.
  struct Submission {
    std::string job_id;
    std::string schedule;
    WallTime time;
  };

  explicit CalendarWorld(WallTime begin) : now{BootTime(std::chrono::hours(1)), begin} {}

  // A scheduler takes office.
  void begin();
  // It dies; what is not committed is lost.
  void crash() { scheduler_.reset(); }
  // The next commit is the last thing that it does: its effects never happen, and with
  // `is_kept` false it does not happen itself.
  void crash_at_next_commit(bool is_kept);
  void forget_crash() { dies_ = false; }
  // When the last of them died at a commit.
  [[nodiscard]] WallTime died_at() const { return died_at_; }
  [[nodiscard]] bool is_down() const { return scheduler_ == nullptr; }
  // Time passes, with a scheduler or without one.
  void advance_to(WallTime time);
  void advance(std::chrono::nanoseconds by) { advance_to(now.wall + by); }
  // The wall clock alone is set.
  void set_clock(WallTime time) { now.wall = time; }

  void create(v1::Schedule schedule, const std::string& request_key = "");
  // The answer of a call, by the scheduler's own function for it.
  template <typename Decide>
  absl::StatusOr<Answer> call(Decide decide) {
    const CallId id = ++last_call_;
    apply(decide(*scheduler_, id, now));
    const auto found = replies_.find(id);
    if (found == replies_.end()) return absl::InternalError("no answer");
    return found->second;
  }
  [[nodiscard]] v1::Schedule get(const std::string& name);
  [[nodiscard]] v1::Job job(const std::string& job_id) { return *store.find_job(job_id); }
  // Stops a job that is queued: it ends.
  void end(const std::string& job_id);

  MemoryStore store;
  Now now;
  SchedulerConfig config;
  bool jobs_end_at_once = true;
  std::vector<Submission> submissions;

 private:
  void apply(Decision decision);

  std::unique_ptr<Scheduler> scheduler_;
  std::map<CallId, absl::StatusOr<Answer>> replies_;
  std::map<std::string, bool> seen_;  // jobs
  CallId last_call_ = 0;
  bool dies_ = false;
  WallTime died_at_{};
  bool dying_commit_is_kept_ = false;
};

}  // namespace clusterd
