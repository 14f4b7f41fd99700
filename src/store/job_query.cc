#include "store/job_query.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/proto_time.h"
#include "store/job_page.h"
#include "store/sealed_record.h"
#include "store/sqlite_job_rows.h"

namespace clusterd {
namespace {

constexpr int kMostLabelWalks = 4;    // of more labels the record alone is asked
constexpr size_t kLooksOfRecord = 4;  // what reading one costs

int64_t nanoseconds(const google::protobuf::Timestamp& time) {
  return from_proto(time).time_since_epoch().count();
}

}  // namespace

JobQuery::JobQuery(SqliteDatabase& database, const v1::ListJobsRequest& request)
    : database_(database), request_(request), page_size_(page_size_of(request)) {}

absl::StatusOr<v1::ListJobsResponse> JobQuery::run() {
  const absl::StatusOr<int64_t> start = seq_in_token(request_.page_token());
  if (!start.ok()) return start.status();
  if (const absl::Status added = add_conditions(); !added.ok()) return added;
  v1::ListJobsResponse page;
  int64_t below = *start;  // all from here on has been looked at
  size_t bytes = 0;
  for (int64_t most = below - 1;; most = below - 1) {
    const absl::StatusOr<Meeting> met = meet(most);
    if (!met.ok()) return met.status();
    if (*met == Meeting::kEnd) return page;
    // One job more than fits tells whether there is another page.
    const bool full =
        static_cast<size_t>(page.jobs_size()) == page_size_ || bytes >= kMostBytesOfPage;
    if (*met == Meeting::kTooManyLooks && !full) below = most + 1;
    if (*met == Meeting::kTooManyLooks || full) break;
    below = most;
    v1::Job& job = *page.add_jobs();
    const absl::StatusOr<bool> wanted = load(most, job);
    if (!wanted.ok()) return wanted.status();
    if (*wanted) {
      strip_for_list(job);
      bytes += job.ByteSizeLong();
    } else {
      page.mutable_jobs()->RemoveLast();
      looks_ += kLooksOfRecord;
    }
  }
  page.set_next_page_token(token_after(below));
  return page;
}

absl::StatusOr<JobQuery::Meeting> JobQuery::meet(int64_t& most) {
  size_t agreed = 0;
  for (size_t i = 0; agreed < conditions_.size(); i = (i + 1) % conditions_.size()) {
    if (looks_ >= kMostLooks) return Meeting::kTooManyLooks;
    ++looks_;
    const auto seq = conditions_[i].at_most(most);
    if (!seq.ok()) return seq.status();
    if (!*seq) return Meeting::kEnd;
    agreed = **seq == most ? agreed + 1 : 1;
    most = **seq;
  }
  return Meeting::kJob;
}

absl::Status JobQuery::add_conditions() {
  absl::Status status = add_labels();
  if (status.ok() && !request_.external_id().empty()) {
    status = add_condition({.rows = "jobs WHERE array_id IS NULL AND external_id = ?2",
                            .text = request_.external_id()});
  }
  if (status.ok() && !request_.name().empty()) {
    status = add_condition({.rows = "jobs INDEXED BY jobs_by_name"
                                    " WHERE array_id IS NULL AND name = ?2 AND name <> ''",
                            .text = request_.name()});
  }
  if (status.ok() && !request_.queue().empty() && request_.queue() != "default") {
    status = add_condition({.rows = "jobs INDEXED BY jobs_by_queue"
                                    " WHERE array_id IS NULL AND queue = ?2 AND queue <> ''",
                            .text = request_.queue()});
  }
  return status.ok() ? add_states_and_times() : status;
}

absl::Status JobQuery::add_labels() {
  for (int i = 0; i < std::min(request_.label_size(), kMostLabelWalks); ++i) {
    SeqUnion& either = conditions_.emplace_back();
    for (const std::string_view label : {indexed_label(request_.label(i)), kManyLabels}) {
      const absl::Status added =
          add_walk(either, {.rows = "job_labels WHERE label = ?2", .text = label});
      if (!added.ok()) return added;
    }
  }
  return absl::OkStatus();
}

absl::Status JobQuery::add_states_and_times() {
  bool by_time = request_.has_submitted_since() || request_.has_submitted_before();
  Walk walk{.rows = "jobs INDEXED BY jobs_by_state WHERE array_id IS NULL"};
  if (!request_.worker_id().empty()) walk.text = request_.worker_id();
  if (const std::vector<int> states = states_of(request_); !states.empty()) {
    if (walk.text) {
      walk.rows = "jobs INDEXED BY jobs_by_worker_state WHERE array_id IS NULL AND worker_id = ?2";
    }
    walk.by_time = by_time && !walk.text;
    by_time = by_time && walk.text;
    SeqUnion& either = conditions_.emplace_back();
    for (const int state : states) {
      if (!v1::Job::State_IsValid(state)) continue;  // no job has it
      walk.state = state;
      if (auto added = add_walk(either, walk); !added.ok()) return added;
    }
  } else if (walk.text) {
    walk.rows = "jobs INDEXED BY jobs_by_worker WHERE array_id IS NULL AND worker_id = ?2";
    if (auto added = add_condition(walk); !added.ok()) return added;
  }
  if (!by_time && !conditions_.empty()) return absl::OkStatus();
  return add_condition(
      {.rows = "jobs INDEXED BY jobs_by_seq WHERE array_id IS NULL", .by_time = by_time});
}

absl::Status JobQuery::add_condition(const Walk& walk) {
  return add_walk(conditions_.emplace_back(), walk);
}

absl::Status JobQuery::add_walk(SeqUnion& either, const Walk& walk) {
  const bool since = walk.by_time && request_.has_submitted_since();
  const bool before = walk.by_time && request_.has_submitted_before();
  // Each walk has a statement of its own, which the number at its end sees to.
  auto seqs = database_.prepare(absl::StrCat(
      "SELECT seq FROM ", walk.rows,
      walk.state == v1::Job::STATE_UNSPECIFIED ? "" : " AND state = ?3",
      since ? " AND submit_time_ns >= ?4" : "", before ? " AND submit_time_ns < ?5" : "",
      " AND seq <= ?1 ORDER BY seq DESC --", walks_++));
  if (!seqs.ok()) return seqs.status();
  if (walk.text) seqs->bind_text(2, *walk.text);
  if (walk.state != v1::Job::STATE_UNSPECIFIED) seqs->bind(3, walk.state);
  if (since) seqs->bind(4, nanoseconds(request_.submitted_since()));
  if (before) seqs->bind(5, nanoseconds(request_.submitted_before()));
  either.add(SeqWalk(*std::move(seqs)));
  return absl::OkStatus();
}

absl::StatusOr<bool> JobQuery::load(int64_t seq, v1::Job& job) {
  // Of the default queue are those that name none, too; they are in no index.
  auto found = database_.prepare(absl::StrCat(
      "SELECT record FROM jobs INDEXED BY jobs_by_seq WHERE array_id IS NULL AND seq = ?1",
      request_.queue() == "default" ? " AND queue IN ('default', '')" : ""));
  if (!found.ok()) return found.status();
  const absl::StatusOr<bool> row = found->bind(1, seq).step();
  if (!row.ok() || !*row) return row;
  return parse_sealed(found->blob(0), job) && has_labels(job, request_);
}

}  // namespace clusterd
