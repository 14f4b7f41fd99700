// Calls about all jobs that match: which ones is read a page at a time, so that neither the core
// thread nor one commit has to do with many of them at once.

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "clusterd/job_states.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "scheduler/job_selection_check.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

constexpr uint32_t kStopsAtOnce = 1'000;
constexpr uint32_t kRetriesAtOnce = 200;  // each is read, with its tasks
constexpr int kMostNamed = 1'000;
constexpr size_t kMostGroups = 16;

// The answer, as the record of its request key has it: "2 jobs: ID ID".
std::string to_subject(const v1::MatchingJobsResponse& answer) {
  return absl::StrCat(answer.count(), " jobs: ", absl::StrJoin(answer.job_ids(), " "));
}

v1::MatchingJobsResponse from_subject(const std::string& subject) {
  v1::MatchingJobsResponse answer;
  uint64_t count = 0;
  if (absl::SimpleAtoi(subject.substr(0, subject.find(' ')), &count)) answer.set_count(count);
  const size_t colon = subject.find(": ");
  if (colon == std::string::npos) return answer;
  for (const auto id : absl::StrSplit(subject.substr(colon + 2), ' ', absl::SkipEmpty())) {
    answer.add_job_ids(std::string(id));
  }
  return answer;
}

void add(v1::MatchingJobsResponse& answer, const std::string& job_id) {
  answer.set_count(answer.count() + 1);
  if (answer.job_ids_size() < kMostNamed) answer.add_job_ids(job_id);
}

// An empty worker id is any.
bool is_on(const v1::Job& job, const std::string& worker_id) {
  return worker_id.empty() || job.worker_id() == worker_id;
}

bool is_one_of(const v1::ListJobsRequest& page, v1::Job::State state) {
  return std::find(page.state().begin(), page.state().end(), state) != page.state().end();
}

}  // namespace

Decision Scheduler::stop_matching(CallId call, const v1::StopMatchingJobsRequest& request,
                                  const std::string& who, const RequestKey& key, Now now) {
  GroupCall group{.calls = {call}, .request = key, .dry_run = request.dry_run()};
  group.page = to_list_request(request.selection(), GroupAction::kStop);
  group.page.set_page_size(kStopsAtOnce);
  group.wish.set_who(who);
  group.wish.set_reason(request.reason());
  *group.wish.mutable_when() = to_proto(now.wall);
  Decision out;
  begin_group(call, std::move(group), out, now);
  return seal(std::move(out), now);
}

Decision Scheduler::retry_matching(CallId call, const v1::RetryMatchingJobsRequest& request,
                                   const RequestKey& key, Now now) {
  GroupCall group{.calls = {call}, .request = key, .retries = true, .dry_run = request.dry_run()};
  group.page = to_list_request(request.selection(), GroupAction::kRetry);
  group.page.set_page_size(kRetriesAtOnce);
  Decision out;
  begin_group(call, std::move(group), out, now);
  return seal(std::move(out), now);
}

void Scheduler::begin_group(CallId call, GroupCall group, Decision& out, Now now) {
  KeyedCall keyed{.call = call, .request = group.request};
  keyed.repeat = [this, call](const std::string& subject, Decision& later) {
    reply(call, Answer(from_subject(subject)), later);
  };
  keyed.first = [this, call, group = std::move(group)](const absl::StatusOr<LookedUp>&,
                                                       Decision& later, Now) mutable {
    for (auto& [id, other] : groups_) {
      if (group.request.key.empty() || other.request.key != group.request.key) continue;
      if (other.request.sha256 == group.request.sha256) return other.calls.push_back(call);
      return reply(call,
                   field_error(absl::StatusCode::kAlreadyExists, "request_id",
                               "was used with another request, which is being carried out"),
                   later);
    }
    if (groups_.size() >= kMostGroups) {
      return reply(call,
                   with_retry_delay(absl::ResourceExhaustedError(absl::StrCat(
                                        kMostGroups, " calls about many jobs are under way")),
                                    std::chrono::seconds(1)),
                   later);
    }
    if (!group.page.worker_id().empty()) {
      const auto worker_id = resolve_worker(group.page.worker_id());
      if (!worker_id.ok()) return reply(call, worker_id.status(), later);
      group.page.set_worker_id(*worker_id);
    }
    const uint64_t id = ++last_group_;
    later.effects.emplace_back(FindMatching{id, group.page});
    groups_.emplace(id, std::move(group));
  };
  once(std::move(keyed), out, now);
}

Decision Scheduler::matched(uint64_t id, absl::StatusOr<MatchedJobs> page, Now now) {
  Decision out;
  const auto found = groups_.find(id);
  if (found == groups_.end()) return out;
  GroupCall& group = found->second;
  if (page.ok()) {
    group.page.set_page_token(page->next_page_token);
    group.of_page = page->job_ids;
    act_on_page(id, group, page->job_ids, out, now);
  } else {
    group.failure = page.status();
  }
  if (group.reading == 0) next_page(id, out, now);
  return seal(std::move(out), now);
}

void Scheduler::act_on_page(uint64_t id, GroupCall& group, const std::vector<std::string>& job_ids,
                            Decision& out, Now now) {
  for (const std::string& job_id : job_ids) {
    LiveJob* live = jobs_.find(job_id);
    const bool is_live = live != nullptr && !is_final(live->job.state());
    if (group.retries == is_live) continue;  // it has changed since it was read
    if (is_live && !is_on(live->job, group.page.worker_id())) continue;
    if (!group.retries) {
      if (live->job.has_stop_requested() || !is_one_of(group.page, live->job.state())) continue;
      if (!group.dry_run) stop_live(*live, group.wish, out, now);
      add(group.answer, job_id);
    } else {
      ++group.reading;
      look_up(
          {.job_ids = {job_id}, .with_tasks = true}, 0,
          [this, id](const absl::StatusOr<LookedUp>& found, Decision& later, Now then) {
            retry_matched(id, found, later, then);
          },
          out);
    }
  }
}

void Scheduler::retry_matched(uint64_t id, const absl::StatusOr<LookedUp>& found, Decision& out,
                              Now now) {
  GroupCall& group = groups_.find(id)->second;
  --group.reading;
  if (!found.ok()) {
    group.failure.Update(found.status());
  } else if (group.failure.ok() && found->jobs[0].ok()) {
    const v1::Job& job = *found->jobs[0];
    const LiveJob* live = jobs_.find(job.job_id());
    const bool has_begun = live != nullptr && !is_final(live->job.state());
    // A gang is not retried.
    if (!has_begun && is_one_of(group.page, job.state()) && is_on(job, group.page.worker_id()) &&
        !job.spec().has_gang()) {
      if (!group.dry_run) group.failure = check_retry_room(job, found->tasks);
      if (!group.dry_run && group.failure.ok()) retry_ended(0, job, found->tasks, {}, out, now);
      if (group.failure.ok()) group.retried.insert(job.job_id());
    }
  }
  if (group.reading == 0) next_page(id, out, now);
}

void Scheduler::next_page(uint64_t id, Decision& out, Now now) {
  GroupCall& group = groups_.find(id)->second;
  for (const std::string& job_id : std::exchange(group.of_page, {})) {
    if (group.retried.erase(job_id) > 0) add(group.answer, job_id);
  }
  if (group.failure.ok() && !group.page.page_token().empty()) {
    out.effects.emplace_back(FindMatching{id, group.page});  // once this page is durable
    return;
  }
  const GroupCall ended = std::move(group);
  groups_.erase(id);
  const bool has_changed = ended.answer.count() > 0 && !ended.dry_run;
  // Also of one that found nothing: repeated later, it might.
  if (ended.failure.ok() && !ended.dry_run) {
    keep_first_answer(ended.request, to_subject(ended.answer), out, now);
  }
  absl::Status failure = ended.failure;
  if (!failure.ok() && has_changed) {
    failure =
        absl::Status(failure.code(), absl::StrCat(std::string(failure.message()), "; before that ",
                                                  ended.answer.count(), " jobs were ",
                                                  ended.retries ? "retried" : "asked to stop"));
    ended.failure.ForEachPayload([&failure](absl::string_view url, const absl::Cord& value) {
      failure.SetPayload(url, value);
    });
  }
  for (const CallId call : ended.calls) {
    if (failure.ok()) {
      reply(call, Answer(ended.answer), out);
    } else {
      reply(call, failure, out);
    }
  }
}

}  // namespace clusterd
