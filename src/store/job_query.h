#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/scheduler_service.pb.h"
#include "store/seq_walk.h"
#include "store/sqlite_database.h"

namespace clusterd {

// One ListJobs request against the job table.
//
// Each condition is a walk through an index that has its jobs from the newest down, or for several
// states such walks side by side. The page has the jobs at which all walks meet: one that is ahead
// waits at the next job that it has, and the others go there at once, so that the rarest condition
// sets the pace. After kMostLooks in vain a page ends early, and its token goes on from there.
// Made for one request; the connection's thread.
class JobQuery {
 public:
  static constexpr size_t kMostLooks = 20'000;

  // Both outlive this.
  JobQuery(SqliteDatabase& database, const v1::ListJobsRequest& request);

  // INVALID_ARGUMENT: the page token is not one of ours.
  [[nodiscard]] absl::StatusOr<v1::ListJobsResponse> run();

 private:
  enum class Meeting { kJob, kEnd, kTooManyLooks };

  struct Walk {
    const char* rows;                      // its table, index and condition
    std::optional<std::string_view> text;  // the condition's ?2
    int state = v1::Job::STATE_UNSPECIFIED;
    bool by_time = false;
  };

  [[nodiscard]] absl::Status add_conditions();
  [[nodiscard]] absl::Status add_labels();
  [[nodiscard]] absl::Status add_states_and_times();
  [[nodiscard]] absl::Status add_condition(const Walk& walk);
  [[nodiscard]] absl::Status add_walk(SeqUnion& either, const Walk& walk);
  // Lowers `most` to the next seq that all walks have, or as far as it has looked.
  [[nodiscard]] absl::StatusOr<Meeting> meet(int64_t& most);
  // False: the row has gone, its record is damaged (a start sets it aside), or it is not wanted.
  [[nodiscard]] absl::StatusOr<bool> load(int64_t seq, v1::Job& job);

  SqliteDatabase& database_;
  const v1::ListJobsRequest& request_;
  size_t page_size_;
  std::vector<SeqUnion> conditions_;
  int walks_ = 0;
  size_t looks_ = 0;
};

}  // namespace clusterd
