#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "clusterd/v1/job.pb.h"
#include "core/crc32c.h"

namespace clusterd {

// What really happened in a simulation, whatever the scheduler believes of it; and what must not.
//
// Owned by a simulation. A breach is kept with its words, the first counts.
class SimulatedTruth {
 public:
  using Attempt = std::pair<std::string, uint32_t>;

  void breach(const std::string& what) {
    if (breach_.empty()) breach_ = what;
  }
  [[nodiscard]] const std::string& breach() const { return breach_; }

  // A process of the attempt starts. It must be the first, and alone unless `may_overlap`.
  void started(const v1::AttemptKey& key, bool may_overlap) {
    const Attempt attempt{key.job_id(), key.attempt()};
    note("start " + key.job_id() + "/" + std::to_string(key.attempt()));
    if (!starts_.insert(attempt).second) breach("started twice: " + name(attempt));
    for (const Attempt& other : running_) {
      if (other.first != attempt.first || may_overlap || may_overlap_.contains(other.first))
        continue;
      breach("attempts overlap: " + name(other) + " and " + name(attempt));
    }
    running_.insert(attempt);
  }
  void ended(const v1::AttemptKey& key, const v1::JobEnd& end) {
    const Attempt attempt{key.job_id(), key.attempt()};
    note("end " + name(attempt) + " " + v1::JobEnd::Reason_Name(end.reason()));
    running_.erase(attempt);
    ends_.emplace(attempt, end);
  }
  // The machine went down with it.
  void vanished(const v1::AttemptKey& key) { running_.erase({key.job_id(), key.attempt()}); }
  // A caller retried it by hand: an attempt that was given up may still run.
  void allow_overlap(const std::string& job_id) { may_overlap_.insert(job_id); }

  [[nodiscard]] bool has_started(const std::string& job_id, uint32_t attempt) const {
    return starts_.contains({job_id, attempt});
  }
  [[nodiscard]] const v1::JobEnd* end_of(const std::string& job_id, uint32_t attempt) const {
    const auto found = ends_.find({job_id, attempt});
    return found == ends_.end() ? nullptr : &found->second;
  }

  // Everything that was noted, in order.
  void note(const std::string& what) {
    history_ = extend_crc32c(history_, what);
    trace_.push_back(what);
  }
  [[nodiscard]] uint32_t history() const { return history_; }
  [[nodiscard]] const std::vector<std::string>& trace() const { return trace_; }

 private:
  static std::string name(const Attempt& attempt) {
    return attempt.first + "/" + std::to_string(attempt.second);
  }

  std::string breach_;
  std::set<Attempt> starts_;
  std::set<Attempt> running_;
  std::set<std::string> may_overlap_;
  std::map<Attempt, v1::JobEnd> ends_;
  uint32_t history_ = 0;
  std::vector<std::string> trace_;
};

}  // namespace clusterd
