// What is not in memory: reading it, and going on when it has been read.

#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "scheduler/scheduler.h"

namespace clusterd {

void Scheduler::look_up(LookUp question, CallId call, Resume resume, Decision& out) {
  question.id = ++last_lookup_;
  out.effects.emplace_back(question);
  const uint64_t id = question.id;
  lookups_.emplace(
      id,
      PendingLookUp{.question = std::move(question), .call = call, .resume = std::move(resume)});
}

Decision Scheduler::looked_up(uint64_t id, absl::StatusOr<LookedUp> found, Now now) {
  Decision out;
  const auto pending = lookups_.find(id);
  if (pending == lookups_.end()) return out;  // the caller is gone
  if (pending->second.stale) {
    pending->second.stale = false;
    out.effects.emplace_back(pending->second.question);
    return out;
  }
  PendingLookUp ready = std::move(pending->second);
  lookups_.erase(pending);
  if (found.ok()) {
    for (size_t i = 0; i < found->jobs.size(); ++i) {
      // Deleted here, and not yet there.
      const std::string& asked = ready.question.job_ids[i];
      const auto parts = split_task_id(asked);
      const auto erased = erased_.find(parts ? parts->first : asked);
      if (erased == erased_.end()) continue;
      found->jobs[i] = absl::NotFoundError("deleted");
      out.after = std::max(out.after, erased->second);
    }
  }
  ready.resume(std::move(found), out, now);
  return seal(std::move(out), now);
}

void Scheduler::make_stale(const std::string& job_id) {
  for (auto& [id, pending] : lookups_) {
    for (const std::string& asked : pending.question.job_ids) {
      if (asked == job_id) pending.stale = true;
    }
  }
}

void Scheduler::once(KeyedCall keyed, Decision& out, Now now) {
  const bool in_memory = keyed.job_id.empty() || jobs_.find(keyed.job_id) != nullptr;
  const bool known = first_answers_.contains(keyed.request.key);
  if (known || (keyed.request.key.empty() && in_memory)) {
    go_on(keyed, LookedUp(), out, now);
    return;
  }
  LookUp question{.request_key = keyed.request.key, .with_tasks = keyed.with_tasks};
  if (!keyed.job_id.empty()) question.job_ids.push_back(keyed.job_id);
  const CallId call = keyed.call;
  look_up(
      std::move(question), call,
      [this, keyed = std::move(keyed)](absl::StatusOr<LookedUp> found, Decision& later,
                                       Now then) mutable {
        go_on(keyed, std::move(found), later, then);
      },
      out);
}

void Scheduler::go_on(KeyedCall& keyed, absl::StatusOr<LookedUp> found, Decision& out, Now now) {
  if (!found.ok()) return reply(keyed.call, found.status(), out);
  std::string first_sha256;
  std::string subject_id;
  // It may have been made while the store was asked.
  const auto first = first_answers_.find(keyed.request.key);
  if (!keyed.request.key.empty() && first != first_answers_.end()) {
    first_sha256 = first->second.request_sha256;
    subject_id = first->second.subject_id;
    out.after = std::max(out.after, first->second.commit);
  } else if (found->first_answer) {
    first_sha256 = found->first_answer->request_sha256();
    subject_id = found->first_answer->subject_id();
  } else {
    keyed.first(std::move(found), out, now);
    return;
  }
  if (first_sha256 == keyed.request.sha256) return keyed.repeat(subject_id, out);
  reply(keyed.call,
        field_error(absl::StatusCode::kAlreadyExists, "request_id",
                    "was used with another request, which was about " +
                        subject_id.substr(0, subject_id.find(':'))),
        out);
}

void Scheduler::keep_first_answer(const RequestKey& request, const std::string& subject_id,
                                  Decision& out, Now now) {
  if (request.key.empty()) return;
  first_answers_[request.key] = {request.sha256, subject_id, commit_ + 1};
  internal::IdempotencyRecord record;
  record.set_key(request.key);
  record.set_request_sha256(request.sha256);
  record.set_subject_id(subject_id);
  *record.mutable_time() = to_proto(now.wall);
  out.persist.put_idempotency.push_back(std::move(record));
}

LiveJob* Scheduler::find_or_make_task(const std::string& job_id, Decision& out, Now now) {
  if (LiveJob* live = jobs_.find(job_id)) return live;
  LiveJob* array = nullptr;
  const auto position = unrecorded_task(job_id, &array);
  if (!position || array->job.has_unstarted_end()) return nullptr;
  LiveJob& task = make_task(*array, *position);
  refresh(*array, out, now);  // it may have been the last that waited
  return &task;
}

std::optional<uint32_t> Scheduler::unrecorded_task(const std::string& job_id, LiveJob** array) {
  const auto parts = split_task_id(job_id);
  if (!parts) return std::nullopt;
  *array = jobs_.find(parts->first);
  if (*array == nullptr || !(*array)->job.spec().has_array()) return std::nullopt;
  const auto position = task_position((*array)->job.spec().array(), parts->second);
  if (!position || (*array)->tasks->state(*position) != v1::Job::STATE_UNSPECIFIED) {
    return std::nullopt;
  }
  return position;
}

}  // namespace clusterd
