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
#include "scheduler/resources_sum.h"

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
  UnitsInUse units;                       // that these jobs have to themselves
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
  void erase(const std::string& worker_id);  // LEFT: it has no stream
  void rename(WorkerEntry& worker, const std::string& name);
  // The worker's session goes over `stream` from now on; 0: over none.
  void set_stream(WorkerEntry& worker, StreamId stream);

  // `wished`, or `wished-2` and so on: the first that no other member holds.
  [[nodiscard]] std::string free_name(const std::string& wished, const std::string& worker_id);

  // The job's newest attempt takes, or no longer takes, its resources here.
  static void take(WorkerEntry& worker, const v1::Job& job);
  static void release(WorkerEntry& worker, const v1::Job& job);

  // The worker is the one that the shape names, if it names one, can do what the job asks for,
  // meets its expressions, can enforce its limits and has no taint that the job does not tolerate.
  // One that names none goes by what it is: with a payload to go-work workers where the cluster has
  // any, without one to others where it has any; and to no worker in quarantine, unless a job is
  // due to be tried there.
  [[nodiscard]] bool matches(const WorkerEntry& worker, const Shape& shape) const;
  // A part of it: the worker's protocol is one for such jobs.
  [[nodiscard]] bool suits(const WorkerEntry& worker, const Shape& shape) const;
  // Another part: where the script comes with the job, the worker runs such ones. One that the job
  // names must only know of them: it says by itself where its scripts must lie.
  [[nodiscard]] static bool takes_script(const WorkerEntry& worker, const Shape& shape);
  // Another: the first of its taints that the job does not tolerate; empty: there is none.
  [[nodiscard]] static std::string untolerated_of(const WorkerEntry& worker, const Shape& shape);
  // Another: it can tell a task of a gang of the others.
  [[nodiscard]] static bool knows_gangs(const WorkerEntry& worker, const Shape& shape);
  // A member has come, or its state has changed.
  void members_changed() {
    kinds_.reset();
    ++generation_;
  }
  // Another one means that other workers may take jobs, or others than before suit them.
  [[nodiscard]] uint64_t generation() const { return generation_; }
  // Some member speaks go-work.
  [[nodiscard]] bool has_go_work() const { return kinds().go_work; }
  // The first of these limits that the worker cannot enforce; empty: there is none.
  [[nodiscard]] static std::string unenforced_of(const WorkerEntry& worker,
                                                 const std::vector<std::string>& limits);
  // Why the job cannot start here now although the worker takes jobs; empty: it fits.
  [[nodiscard]] static std::string lack_of(const WorkerEntry& worker, const v1::Resources& wants);
  // It would fit if nothing else ran here.
  [[nodiscard]] static bool fits_empty(const WorkerEntry& worker, const v1::Resources& wants);

  // --- worker_choice.cc
  // Workers that the first of a line, which does not fit yet, waits for: nobody behind it gets
  // their room.
  using Reserved = std::set<const WorkerEntry*>;
  // Of the workers that match and are not `reserved`, where it fits now: the one that it prefers
  // most, of these one of our own before others, then the one with the largest free share of slots,
  // or with `pack` the fewest free slots; null: none.
  [[nodiscard]] WorkerEntry* best_for(const Shape& shape, const Reserved& reserved);
  // The same for all tasks of a gang, by rank; empty: they do not fit at once.
  [[nodiscard]] std::vector<WorkerEntry*> best_for_gang(const Shape& shape,
                                                        const Reserved& reserved);
  // Keeps the worker, or for a gang the workers, that will have room soonest, as far as can be
  // told: it would fit if nothing else ran there, and most of the slots are free. False: no worker
  // that takes jobs could ever run it.
  bool reserve_for(const Shape& shape, Reserved& reserved);
  // Some worker that is not `reserved` takes jobs and has a free slot.
  [[nodiscard]] bool any_room(const Reserved& reserved) const;
  // How many such tasks fit at once on the workers that match, at most `limit`; `empty`: if
  // nothing else ran there.
  [[nodiscard]] uint32_t room_for_gang(const Shape& shape, bool empty, uint32_t limit);
  // What a gang lacks, in one sentence.
  [[nodiscard]] std::string gang_shortage(const Shape& shape);

  // The workers that take jobs, match, and would fit it if nothing else ran there; by id.
  [[nodiscard]] std::vector<WorkerEntry*> matching(const Shape& shape);
  // What a job of this shape lacks, in one sentence.
  [[nodiscard]] std::string shortage(const Shape& shape);

  void for_each(const std::function<void(WorkerEntry&)>& visit);

 private:
  // Which kinds of members there are, LOST and LEFT ones not counted.
  struct Kinds {
    bool go_work = false;
    bool others = false;
  };

  [[nodiscard]] const Kinds& kinds() const;
  void forget_name(const WorkerEntry& worker);

  std::map<std::string, WorkerEntry> workers_;
  std::unordered_map<StreamId, WorkerEntry*> by_stream_;
  std::unordered_multimap<std::string, WorkerEntry*> by_name_;  // LEFT ones too
  uint64_t generation_ = 1;
  mutable std::optional<Kinds> kinds_;  // worked out when it is asked for
};

}  // namespace clusterd
