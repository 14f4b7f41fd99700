#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "clusterd/internal/store.pb.h"
#include "core/clock.h"
#include "scheduler/decision.h"
#include "scheduler/ready_queue.h"

namespace clusterd {

// A member of the cluster.
struct WorkerEntry {
  internal::WorkerRecord record;
  uint64_t session = 0;      // current session; 0: none since this term began
  StreamId stream = 0;       // its stream; 0: closed
  bool called_back = false;  // answered at its address in this session
  BootTime last_heard;
  uint32_t failed_call_backs = 0;
  std::optional<BootTime> watched_until;  // the timer for its silence
  std::string occupied;                   // why it takes no job at the moment; empty: it does
  bool begin_anew = false;                // attempts of it were given up: only a new session counts
  std::unordered_set<std::string> jobs;   // whose newest attempt is STARTING or RUNNING here
  std::vector<BootTime> failed_starts;    // by its own fault, since the last one that succeeded
  std::optional<BootTime> probe_at;       // in quarantine: when a job is tried here
  bool probe_due = false;                 // in quarantine: the next job that fits is tried here
  std::string probe_job;                  // in quarantine: is being tried; empty: none

  [[nodiscard]] const std::string& id() const { return record.worker().worker_id(); }
  [[nodiscard]] const std::string& name() const { return record.worker().name(); }
  [[nodiscard]] v1::Worker::State state() const { return record.worker().state(); }
  [[nodiscard]] v1::Worker::Protocol protocol() const { return record.worker().protocol(); }
  [[nodiscard]] bool has_feature(const std::string& name) const;
  // Kept from jobs that name no worker, but for one that is tried from time to time.
  [[nodiscard]] bool in_quarantine() const { return record.worker().has_quarantine(); }
  // Takes new jobs at this moment.
  [[nodiscard]] bool takes_jobs() const {
    return state() == v1::Worker::ALIVE && stream != 0 && !record.worker().draining() &&
           occupied.empty();
  }
};

// The members, by id and by name, and what their jobs take.
//
// Owned by Scheduler; core thread only. Pointers to entries hold until erase(): members that left
// stay for a while, so that they are known when they come back.
class WorkerTable {
 public:
  [[nodiscard]] WorkerEntry* find(const std::string& worker_id);
  // By id, else by the name of a member that has not LEFT.
  [[nodiscard]] WorkerEntry* find_by_id_or_name(const std::string& id_or_name);
  [[nodiscard]] WorkerEntry* find_by_stream(StreamId stream);
  WorkerEntry& insert(internal::WorkerRecord record, BootTime now);
  void erase(const std::string& worker_id) { workers_.erase(worker_id); }  // LEFT: it has no stream
  // The worker's session goes over `stream` from now on; 0: over none.
  void set_stream(WorkerEntry& worker, StreamId stream);

  // `wished`, or `wished-2` and so on: the first that no other member holds.
  [[nodiscard]] std::string free_name(const std::string& wished, const std::string& worker_id);

  // The job's newest attempt takes, or no longer takes, its resources here.
  static void take(WorkerEntry& worker, const v1::Job& job);
  static void release(WorkerEntry& worker, const v1::Job& job);

  // The worker is the one that the shape names, if it names one, can do what the job asks for,
  // meets its expressions and can enforce its limits. One that names none goes by what it is: with
  // a payload to go-work workers where the cluster has any, without one to others where it has any;
  // and to no worker in quarantine, unless a job is due to be tried there.
  [[nodiscard]] bool matches(const WorkerEntry& worker, const Shape& shape) const;
  // A part of it: the worker's protocol is one for such jobs.
  [[nodiscard]] bool suits(const WorkerEntry& worker, const Shape& shape) const;
  // Another part: where the script comes with the job, the worker runs such ones. One that the job
  // names must only know of them: it says by itself where its scripts must lie.
  [[nodiscard]] static bool takes_script(const WorkerEntry& worker, const Shape& shape);
  // A member has come, or its state has changed.
  void members_changed() { kinds_.reset(); }
  // Some member speaks go-work.
  [[nodiscard]] bool has_go_work() const { return kinds().go_work; }
  // The first of these limits that the worker cannot enforce; empty: there is none.
  [[nodiscard]] static std::string unenforced_of(const WorkerEntry& worker,
                                                 const std::vector<std::string>& limits);
  // Why the job cannot start here now although the worker takes jobs; empty: it fits.
  [[nodiscard]] static std::string lack_of(const WorkerEntry& worker, const v1::Resources& wants);
  // It would fit if nothing else ran here.
  [[nodiscard]] static bool fits_empty(const WorkerEntry& worker, const v1::Resources& wants);

  // Of the workers that match and are not `reserved`, where it fits now: one of our own before
  // others, then the one with the largest free share of slots; null: none.
  [[nodiscard]] WorkerEntry* best_for(const Shape& shape,
                                      const std::set<const WorkerEntry*>& reserved);
  // Of the same, the one that will have room soonest, as far as can be told: it would fit if
  // nothing else ran there, and most of its slots are free. Null: none.
  [[nodiscard]] const WorkerEntry* reservation_for(const Shape& shape,
                                                   const std::set<const WorkerEntry*>& reserved);
  // The workers that take jobs, match, and would fit it if nothing else ran there; by id.
  [[nodiscard]] std::vector<WorkerEntry*> matching(const Shape& shape);
  // What a job of this shape lacks, in one sentence.
  [[nodiscard]] std::string shortage(const Shape& shape);
  // Some worker takes jobs and has a free slot.
  [[nodiscard]] bool any_room() const;

  void for_each(const std::function<void(WorkerEntry&)>& visit);

 private:
  // Which kinds of members there are, LOST and LEFT ones not counted.
  struct Kinds {
    bool go_work = false;
    bool others = false;
  };

  [[nodiscard]] const Kinds& kinds() const;

  std::map<std::string, WorkerEntry> workers_;
  std::unordered_map<StreamId, WorkerEntry*> by_stream_;
  mutable std::optional<Kinds> kinds_;  // worked out when it is asked for
};

// Slots that a job takes: 0 is read as 1.
[[nodiscard]] uint32_t slots_of(const v1::Resources& wants);

}  // namespace clusterd
