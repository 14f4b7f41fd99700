#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/job.pb.h"
#include "store/sqlite_database.h"

namespace clusterd {

// Rows of jobs, and of `job_labels`, which leads from labels to them: for each label of a job
// (not of a task) there are `key` and `key=value` as lists ask for them, with its seq. All of it in
// the transaction that is open, if one is.

// No more of a label is there; a list looks at the record too.
inline constexpr size_t kIndexedLabelBytes = 128;
// A job that has more labels is found by kManyLabels alone, which is no label.
inline constexpr size_t kMostIndexedLabels = 32;
inline constexpr std::string_view kManyLabels = "";

// What `job_labels` has in place of a label `key` or `key=value`.
[[nodiscard]] std::string_view indexed_label(std::string_view label);
// All that it has of a job; empty for one without labels and for tasks.
[[nodiscard]] std::vector<std::string> indexed_labels_of(const v1::Job& job);

// Writes the job, and its labels where it is new: they do not change.
[[nodiscard]] absl::Status put_job(SqliteDatabase& database, const v1::Job& job);
[[nodiscard]] absl::Status put_label(SqliteDatabase& database, std::string_view indexed_label,
                                     int64_t seq);
// Those of a job whose row is being deleted.
[[nodiscard]] absl::Status erase_labels(SqliteDatabase& database, const v1::Job& job);
// Lists by any of its labels come to the job.
[[nodiscard]] absl::StatusOr<bool> is_found_by_labels(SqliteDatabase& database, const v1::Job& job);

}  // namespace clusterd
