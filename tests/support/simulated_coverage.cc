#include "support/simulated_coverage.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace clusterd {
namespace {

using v1::Job;
using Change = SimulatedCoverage::Change;

// From one commit to the next, of jobs without tasks, tasks, and arrays as a whole. A retry makes
// QUEUED of any end, and of an attempt; what a worker tells late ends an attempt that was STARTING.
constexpr std::array kChanges = {
    Change{Job::STATE_UNSPECIFIED, Job::QUEUED},
    Change{Job::STATE_UNSPECIFIED, Job::STARTING},
    Change{Job::QUEUED, Job::STARTING},
    Change{Job::QUEUED, Job::FAILED},
    Change{Job::QUEUED, Job::STOPPED},
    Change{Job::STARTING, Job::QUEUED},
    Change{Job::STARTING, Job::RUNNING},
    Change{Job::STARTING, Job::SUCCEEDED},
    Change{Job::STARTING, Job::FAILED},
    Change{Job::STARTING, Job::STOPPED},
    Change{Job::STARTING, Job::TIMED_OUT},
    Change{Job::STARTING, Job::LOST},
    Change{Job::RUNNING, Job::QUEUED},
    Change{Job::RUNNING, Job::SUCCEEDED},
    Change{Job::RUNNING, Job::FAILED},
    Change{Job::RUNNING, Job::STOPPED},
    Change{Job::RUNNING, Job::TIMED_OUT},
    Change{Job::RUNNING, Job::LOST},
    Change{Job::FAILED, Job::QUEUED},
    Change{Job::STOPPED, Job::QUEUED},
    Change{Job::TIMED_OUT, Job::QUEUED},
    Change{Job::LOST, Job::QUEUED},
};

std::string text(const Change& change) {
  const std::string from =
      change.first == Job::STATE_UNSPECIFIED ? "(new)" : std::string(name_of(change.first));
  return from + " -> " + std::string(name_of(change.second));
}

}  // namespace

std::string SimulatedCoverage::table() const {
  std::map<Change, uint64_t> changes = changes_;
  for (const Change& change : kChanges) changes.try_emplace(change, 0);
  std::map<v1::JobEnd::Reason, uint64_t> ends = ends_;
  for (int reason = v1::JobEnd::EXITED; reason <= v1::JobEnd::Reason_MAX; ++reason) {
    ends.try_emplace(static_cast<v1::JobEnd::Reason>(reason), 0);
  }
  std::string table;
  for (const auto& [change, count] : changes) {
    absl::StrAppendFormat(&table, "%-28s %10d\n", text(change), count);
  }
  for (const auto& [reason, count] : ends) {
    absl::StrAppendFormat(&table, "%-28s %10d\n", v1::JobEnd::Reason_Name(reason), count);
  }
  return table;
}

std::string SimulatedCoverage::missing() const {
  std::string missing;
  for (const Change& change : kChanges) {
    if (!changes_.contains(change)) absl::StrAppend(&missing, text(change), "\n");
  }
  for (int reason = v1::JobEnd::EXITED; reason <= v1::JobEnd::Reason_MAX; ++reason) {
    const auto value = static_cast<v1::JobEnd::Reason>(reason);
    if (!ends_.contains(value)) absl::StrAppend(&missing, v1::JobEnd::Reason_Name(value), "\n");
  }
  return missing;
}

}  // namespace clusterd
