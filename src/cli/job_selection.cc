#include "cli/job_selection.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/proto_time.h"

namespace clusterd {
namespace {

constexpr size_t kUuidLength = 36;
constexpr size_t kShortestPrefix = 8;
constexpr size_t kDigitsOfTime = 12;  // a UUIDv7 begins with milliseconds
constexpr size_t kMostPages = 100;
constexpr uint32_t kPage = 1'000;
// Between the making of an id and the acceptance that is recorded.
constexpr std::chrono::seconds kSlack(60);

// "7", "1-10" or "1-10:2" after an id and a dot.
struct TaskRange {
  uint32_t from = 0;
  uint32_t to = 0;
  uint32_t step = 1;
};

bool take_number(std::string_view& text, uint32_t& number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(parsed.ptr - text.data()));
  return true;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<TaskRange> parse_range(std::string_view text) {
  TaskRange range;
  if (!take_number(text, range.from)) return std::nullopt;
  range.to = range.from;
  if (take(text, '-') && !take_number(text, range.to)) return std::nullopt;
  if (take(text, ':') && (!take_number(text, range.step) || range.step == 0)) return std::nullopt;
  if (!text.empty() || range.to < range.from) return std::nullopt;
  return range;
}

bool is_hex_or_dash(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-'; }

bool is_prefix(std::string_view text) {
  return text.size() >= kShortestPrefix && text.size() < kUuidLength &&
         std::all_of(text.begin(), text.end(), is_hex_or_dash);
}

// When ids that begin so were made. From the digits of the time that are there.
std::pair<WallTime, WallTime> time_range(std::string_view prefix) {
  std::string digits;
  for (const char c : prefix) {
    if (c != '-' && digits.size() < kDigitsOfTime) digits += c;
  }
  const auto milliseconds = [&digits](char filler) {
    std::string all = digits;
    all.resize(kDigitsOfTime, filler);
    uint64_t value = 0;
    (void)std::from_chars(all.data(), all.data() + all.size(), value, 16);
    return WallTime(std::chrono::milliseconds(std::min<uint64_t>(value, 1ULL << 42U)));
  };
  return {milliseconds('0'), milliseconds('f')};
}

// Hands each job of all pages to `take`, while it gives true.
template <typename Take>
absl::Status for_each_listed(CallerSession& session, v1::ListJobsRequest request, Take take) {
  request.set_page_size(kPage);
  for (size_t pages = 0; pages < kMostPages; ++pages) {
    const auto page = session.client->list(request, session.token());
    if (!page.ok()) return page.status();
    for (const v1::Job& job : page->jobs()) {
      if (!take(job)) return absl::OkStatus();
    }
    if (page->next_page_token().empty()) return absl::OkStatus();
    request.set_page_token(page->next_page_token());
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("more than ", kMaxSelected, " jobs: name fewer at a time"));
}

absl::StatusOr<std::string> find_by_prefix(CallerSession& session, const std::string& prefix) {
  v1::ListJobsRequest request;
  const auto [first, last] = time_range(prefix);
  *request.mutable_submitted_since() = to_proto(first - kSlack);
  *request.mutable_submitted_before() = to_proto(last + kSlack);
  std::vector<std::string> found;
  const absl::Status status = for_each_listed(session, request, [&](const v1::Job& job) {
    if (job.job_id().starts_with(prefix)) found.push_back(job.job_id());
    return found.size() < 2;
  });
  if (!status.ok()) return status;
  if (found.empty()) {
    return field_error(absl::StatusCode::kNotFound, "job_id",
                       "job not found: no id begins with \"" + prefix + "\"");
  }
  if (found.size() > 1) {
    return absl::InvalidArgumentError("\"" + prefix + "\" is the beginning of several ids, " +
                                      found[0] + " and " + found[1] + " among them");
  }
  return found.front();
}

absl::StatusOr<std::string> find_newest(CallerSession& session) {
  v1::ListJobsRequest request;
  request.set_page_size(1);
  const auto page = session.client->list(request, session.token());
  if (!page.ok()) return page.status();
  if (page->jobs().empty()) return absl::NotFoundError("there is no job");
  return page->jobs(0).job_id();
}

absl::StatusOr<std::string> find_job(CallerSession& session, const std::string& word) {
  if (word == "last") return find_newest(session);
  if (is_prefix(word)) return find_by_prefix(session, word);
  return word;
}

// Adds what `word` stands for where it names jobs one by one.
absl::Status add_named(CallerSession& session, const std::string& word,
                       std::vector<std::string>& ids) {
  const size_t dot = word.find('.');
  const auto job_id = find_job(session, word.substr(0, dot));
  if (!job_id.ok()) return job_id.status();
  if (dot == std::string::npos) {
    ids.push_back(*job_id);
    return absl::OkStatus();
  }
  const auto range = parse_range(std::string_view(word).substr(dot + 1));
  if (!range) {
    ids.push_back(word);  // no id of ours; the scheduler says so
    return absl::OkStatus();
  }
  for (uint64_t index = range->from; index <= range->to; index += range->step) {
    if (ids.size() >= kMaxSelected) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", kMaxSelected, " jobs: name fewer at a time"));
    }
    ids.push_back(absl::StrCat(*job_id, ".", index));
  }
  return absl::OkStatus();
}

absl::Status add_all(CallerSession& session, const v1::ListJobsRequest& request,
                     std::vector<std::string>& ids) {
  return for_each_listed(session, request, [&ids](const v1::Job& job) {
    ids.push_back(job.job_id());
    return true;
  });
}

v1::ListJobsRequest in_states(std::initializer_list<v1::Job::State> states) {
  v1::ListJobsRequest request;
  for (const v1::Job::State state : states) request.add_state(state);
  return request;
}

absl::Status add_group(CallerSession& session, const std::string& word, AllJobs all_jobs,
                       std::vector<std::string>& ids) {
  using v1::Job;
  if (all_jobs == AllJobs::kNone) {
    return absl::InvalidArgumentError("\"" + word + "\": this command takes one job");
  }
  if (word == "failed") {
    return add_all(session, in_states({Job::FAILED, Job::TIMED_OUT, Job::LOST}), ids);
  }
  if (all_jobs == AllJobs::kActive) {
    return add_all(session, in_states({Job::QUEUED, Job::STARTING, Job::RUNNING}), ids);
  }
  return add_all(session,
                 in_states({Job::SUCCEEDED, Job::FAILED, Job::STOPPED, Job::TIMED_OUT, Job::LOST}),
                 ids);
}

}  // namespace

absl::StatusOr<std::vector<std::string>> select_jobs(CallerSession& session,
                                                     const std::vector<std::string>& words,
                                                     AllJobs all_jobs) {
  std::vector<std::string> ids;
  for (const std::string& word : words) {
    const bool is_group = word == "all" || word == "failed";
    const absl::Status status =
        is_group ? add_group(session, word, all_jobs, ids) : add_named(session, word, ids);
    if (!status.ok()) return status;
  }
  return ids;
}

absl::StatusOr<std::string> select_job(CallerSession& session, const std::string& word) {
  auto ids = select_jobs(session, {word}, AllJobs::kNone);
  if (!ids.ok()) return ids.status();
  if (ids->size() != 1) {
    return absl::InvalidArgumentError("\"" + word + "\": this command takes one job");
  }
  return ids->front();
}

}  // namespace clusterd
