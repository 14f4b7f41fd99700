#include "store/job_query.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/proto_time.h"
#include "store/job_page.h"
#include "store/sealed_record.h"

namespace clusterd {
namespace {

constexpr size_t kScanStep = 1'000;

int64_t nanoseconds(const google::protobuf::Timestamp& time) {
  return from_proto(time).time_since_epoch().count();
}

}  // namespace

JobQuery::JobQuery(SqliteDatabase& database, const v1::ListJobsRequest& request)
    : database_(database),
      request_(request),
      states_(states_of(request)),
      page_size_(page_size_of(request)) {}

absl::StatusOr<v1::ListJobsResponse> JobQuery::run() {
  const absl::StatusOr<int64_t> start = seq_in_token(request_.page_token());
  if (!start.ok()) return start.status();
  v1::ListJobsResponse page;
  int64_t seq = *start;
  size_t bytes = 0;
  for (size_t scanned = 0; scanned < kMaxScanned;) {
    // One row more than fits tells whether there is another page.
    const size_t step = request_.label().empty() ? page_size_ + 1 : kScanStep;
    const absl::StatusOr<std::vector<Row>> rows = rows_below(seq, step);
    if (!rows.ok()) return rows.status();
    for (const Row& row : *rows) {
      if (static_cast<size_t>(page.jobs_size()) == page_size_ || bytes >= kMostBytesOfPage) {
        page.set_next_page_token(token_after(seq));
        return page;
      }
      seq = row.seq;
      v1::Job job;
      const absl::StatusOr<bool> wanted = load(row, job);
      if (!wanted.ok()) return wanted.status();
      if (!*wanted) continue;
      strip_for_list(job);
      bytes += job.ByteSizeLong();
      *page.add_jobs() = std::move(job);
    }
    if (rows->size() < step) return page;
    scanned += rows->size();
  }
  page.set_next_page_token(token_after(seq));
  return page;
}

absl::StatusOr<std::vector<JobQuery::Row>> JobQuery::rows_below(int64_t seq, size_t limit) {
  std::vector<Row> rows;
  if (states_.empty()) {
    const absl::Status added = add_rows(v1::Job::STATE_UNSPECIFIED, seq, limit, rows);
    if (!added.ok()) return added;
  }
  for (const int state : states_) {
    const absl::Status added = add_rows(state, seq, limit, rows);
    if (!added.ok()) return added;
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.seq > b.seq; });
  if (rows.size() > limit) rows.resize(limit);
  return rows;
}

absl::Status JobQuery::add_rows(int state, int64_t seq, size_t limit, std::vector<Row>& rows) {
  const bool by_state = state != v1::Job::STATE_UNSPECIFIED;
  absl::StatusOr<SqliteStatement> statement = database_.prepare(sql_for(by_state));
  if (!statement.ok()) return statement.status();
  statement->bind(1, seq).bind(2, static_cast<int64_t>(limit));
  if (by_state) statement->bind(3, state);
  if (!request_.worker_id().empty()) statement->bind_text(4, request_.worker_id());
  if (!request_.name().empty()) statement->bind_text(5, request_.name());
  if (!request_.queue().empty()) statement->bind_text(6, request_.queue());
  if (!request_.external_id().empty()) statement->bind_text(9, request_.external_id());
  if (request_.has_submitted_since()) {
    statement->bind(7, nanoseconds(request_.submitted_since()));
  }
  if (request_.has_submitted_before()) {
    statement->bind(8, nanoseconds(request_.submitted_before()));
  }
  absl::StatusOr<bool> row = statement->step();
  for (; row.ok() && *row; row = statement->step()) {
    rows.push_back({.seq = statement->integer(0), .row_id = statement->integer(1)});
  }
  return row.status();
}

std::string JobQuery::sql_for(bool by_state) const {
  std::string index = by_state ? "jobs_by_state" : "jobs_by_seq";
  std::string conditions;
  if (by_state) conditions += " AND state = ?3";
  if (!request_.worker_id().empty()) {
    conditions += " AND worker_id = ?4";
    index = by_state ? "jobs_by_worker_state" : "jobs_by_worker";
  }
  if (request_.queue() == "default") {
    conditions += " AND queue IN (?6, '')";  // of those that name none, too
  } else if (!request_.queue().empty()) {
    conditions += " AND queue = ?6 AND queue <> ''";
    index = "jobs_by_queue";
  }
  if (!request_.name().empty()) {
    conditions += " AND name = ?5 AND name <> ''";
    index = "jobs_by_name";
  }
  if (!request_.external_id().empty()) {
    conditions += " AND external_id = ?9";
    index.clear();  // at most one row has it
  }
  if (request_.has_submitted_since()) conditions += " AND submit_time_ns >= ?7";
  if (request_.has_submitted_before()) conditions += " AND submit_time_ns < ?8";
  // Every parameter number up to the highest used is one that SQLite lets us bind.
  return absl::StrCat(
      "SELECT seq, rowid FROM jobs", index.empty() ? std::string() : " INDEXED BY " + index,
      " WHERE array_id IS NULL AND seq < ?1", conditions, " ORDER BY seq DESC LIMIT ?2");
}

// False: the row has gone, its record does not parse (a start sets it aside), or its labels differ.
absl::StatusOr<bool> JobQuery::load(const Row& row, v1::Job& job) {
  absl::StatusOr<SqliteStatement> statement =
      database_.prepare("SELECT record FROM jobs WHERE rowid = ?1");
  if (!statement.ok()) return statement.status();
  const absl::StatusOr<bool> found = statement->bind(1, row.row_id).step();
  if (!found.ok() || !*found) return found;
  return parse_sealed(statement->blob(0), job) && has_labels(job, request_);
}

}  // namespace clusterd
