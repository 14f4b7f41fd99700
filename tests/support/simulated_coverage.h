#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "clusterd/job_states.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// What the jobs of simulations went through, as the store has it.
//
// Owned by whoever runs them; one thread. Tells which changes of a state and which ends were met,
// and how often.
class SimulatedCoverage {
 public:
  using Change = std::pair<v1::Job::State, v1::Job::State>;

  void changed(v1::Job::State from, const v1::Job& job) {
    ++changes_[{from, job.state()}];
    if (is_final(job.state())) ++ends_[job.end().reason()];
  }
  void add(const SimulatedCoverage& other) {
    for (const auto& [change, count] : other.changes_) changes_[change] += count;
    for (const auto& [reason, count] : other.ends_) ends_[reason] += count;
  }

  // A line for each, what was never met too.
  [[nodiscard]] std::string table() const;
  // Names of what was never met, of all that may happen to a job; empty: it was all met.
  [[nodiscard]] std::string missing() const;

 private:
  std::map<Change, uint64_t> changes_;
  std::map<v1::JobEnd::Reason, uint64_t> ends_;
};

}  // namespace clusterd
