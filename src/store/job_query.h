#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "clusterd/v1/scheduler_service.pb.h"
#include "store/sqlite_database.h"

namespace clusterd {

// One ListJobs request against the job table.
//
// Every column condition goes by an index that gives its rows in the order of the page; several
// states are one such walk each, merged. Labels are not indexed: they are looked at in the
// record, for at most kMaxScanned records, after which a page ends early and its token goes on.
// Made for one request; the connection's thread.
class JobQuery {
 public:
  static constexpr size_t kMaxScanned = 50'000;

  // Both outlive this.
  JobQuery(SqliteDatabase& database, const v1::ListJobsRequest& request);

  // INVALID_ARGUMENT: the page token is not one of ours.
  [[nodiscard]] absl::StatusOr<v1::ListJobsResponse> run();

 private:
  struct Row {
    int64_t seq;
    int64_t row_id;
  };

  [[nodiscard]] absl::StatusOr<std::vector<Row>> rows_below(int64_t seq, size_t limit);
  [[nodiscard]] absl::Status add_rows(int state, int64_t seq, size_t limit, std::vector<Row>& rows);
  [[nodiscard]] std::string sql_for(bool by_state) const;
  [[nodiscard]] absl::StatusOr<bool> load(const Row& row, v1::Job& job);

  SqliteDatabase& database_;
  const v1::ListJobsRequest& request_;
  std::vector<int> states_;  // empty: every state
  size_t page_size_;
};

}  // namespace clusterd
