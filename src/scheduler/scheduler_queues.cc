// Named queues: setting them up, and what is in them.

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "core/resources_check.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

constexpr uint32_t kGreatestWeight = 1'000;
constexpr size_t kLongestReason = 1'024;

absl::Status queue_not_found(const std::string& name) {
  return field_error(
      absl::StatusCode::kNotFound, "name",
      absl::StrCat("queue not found: \"", name, "\": nobody has set it up, and it holds no jobs"));
}

}  // namespace

Decision Scheduler::list_queues(CallId call) {
  Decision out;
  out.after = commit_;
  v1::ListQueuesResponse answer;
  for (const auto& [name, queue] : jobs_.queues().all()) *answer.add_queues() = queue;
  out.effects.emplace_back(Reply{call, Answer(std::move(answer))});
  return out;
}

Decision Scheduler::get_queue(CallId call, const v1::GetQueueRequest& request) {
  Decision out;
  answer_queue(call, request.name(), out);
  return out;
}

void Scheduler::answer_queue(CallId call, const std::string& name, Decision& out) {
  out.after = std::max(out.after, queues_commit_);
  const bool is_there = jobs_.queues().knows(name) || name == kDefaultQueue;
  if (!is_there) return reply(call, queue_not_found(name), out);
  reply(call, Answer(jobs_.queues().get(name)), out);
}

void Scheduler::change_queue(CallId call, const std::string& name, const RequestKey& key,
                             QueueChange change, Decision& out, Now now) {
  KeyedCall keyed{.call = call, .request = key};
  keyed.repeat = [this, call](const std::string& subject, Decision& later) {
    answer_queue(call, subject, later);
  };
  keyed.first = [this, call, name, key, change = std::move(change)](
                    const absl::StatusOr<LookedUp>&, Decision& later, Now then) mutable {
    v1::Queue queue = jobs_.queues().get(name);
    const absl::Status refused = change(queue);
    if (!refused.ok()) return reply(call, refused, later);
    *queue.mutable_update_time() = to_proto(then.wall);
    jobs_.queues().set_up(queue);
    queue = jobs_.queues().get(name);
    later.persist.put_queues.push_back(stored(queue));
    queues_commit_ = commit_ + 1;
    placement_changed_ = true;
    keep_first_answer(key, name, later, then);
    reply(call, Answer(std::move(queue)), later);
  };
  once(std::move(keyed), out, now);
}

Decision Scheduler::set_queue(CallId call, const v1::SetQueueRequest& request,
                              const RequestKey& key, Now now) {
  Decision out;
  const v1::Queue& wanted = request.queue();
  absl::Status status = check_queue_name("queue.name", wanted.name());
  if (status.ok() && wanted.weight() > kGreatestWeight) {
    status = invalid_field("queue.weight",
                           absl::StrCat(wanted.weight(), ": allowed are 1 to ", kGreatestWeight));
  }
  if (!status.ok()) {
    reply(call, status, out);
    return out;
  }
  const auto change = [wanted](v1::Queue& queue) {
    queue.set_max_running(wanted.max_running());
    queue.set_max_queued(wanted.max_queued());
    queue.set_weight(wanted.weight());
    if (wanted.paused()) queue.set_paused(true);
    return absl::OkStatus();
  };
  change_queue(call, wanted.name(), key, change, out, now);
  return seal(std::move(out), now);
}

Decision Scheduler::pause_queue(CallId call, const v1::PauseQueueRequest& request,
                                const RequestKey& key, Now now) {
  Decision out;
  absl::Status status = check_queue_name("name", request.name());
  if (status.ok() && request.reason().size() > kLongestReason) {
    status = invalid_field("reason", absl::StrCat(request.reason().size(), " bytes, at most ",
                                                  kLongestReason, " are allowed"));
  }
  if (!status.ok()) {
    reply(call, status, out);
    return out;
  }
  const auto change = [reason = request.reason()](v1::Queue& queue) {
    queue.set_paused(true);
    queue.set_reason(reason);
    return absl::OkStatus();
  };
  change_queue(call, request.name(), key, change, out, now);
  return seal(std::move(out), now);
}

Decision Scheduler::resume_queue(CallId call, const v1::ResumeQueueRequest& request,
                                 const RequestKey& key, Now now) {
  Decision out;
  const auto change = [this](v1::Queue& queue) {
    const bool is_there = jobs_.queues().knows(queue.name()) || queue.name() == kDefaultQueue;
    if (!is_there) return queue_not_found(queue.name());
    queue.clear_paused();
    queue.clear_reason();
    return absl::OkStatus();
  };
  change_queue(call, request.name(), key, change, out, now);
  return seal(std::move(out), now);
}

Decision Scheduler::delete_queue(CallId call, const v1::DeleteQueueRequest& request,
                                 const RequestKey& key, Now now) {
  Decision out;
  KeyedCall keyed{.call = call, .request = key};
  keyed.repeat = [this, call](const std::string&, Decision& later) {
    reply(call, Answer(v1::DeleteQueueResponse()), later);
  };
  keyed.first = [this, call, name = request.name(), key](const absl::StatusOr<LookedUp>&,
                                                         Decision& later, Now then) {
    const v1::Queue queue = jobs_.queues().get(name);
    if (queue.queued() + queue.running() > 0) {
      return reply(call,
                   absl::FailedPreconditionError(
                       absl::StrCat("queue ", name, " holds jobs: ", queue.queued(), " wait and ",
                                    queue.running(), " run")),
                   later);
    }
    if (!queue.has_update_time()) return reply(call, queue_not_found(name), later);
    jobs_.queues().forget(name);
    later.persist.delete_queues.push_back(name);
    queues_commit_ = commit_ + 1;
    keep_first_answer(key, name, later, then);
    reply(call, Answer(v1::DeleteQueueResponse()), later);
  };
  once(std::move(keyed), out, now);
  return seal(std::move(out), now);
}

absl::Status Scheduler::check_queue_room(const v1::JobSpec& spec, uint64_t jobs) const {
  const v1::Queue queue = jobs_.queues().get(queue_of(spec));
  const uint64_t most = queue.max_queued();
  if (most == 0 || queue.queued() + jobs <= most) return absl::OkStatus();
  if (jobs > most) {
    return field_error(absl::StatusCode::kFailedPrecondition, "queue",
                       absl::StrCat("\"", queue.name(), "\" never holds more than ", most,
                                    " jobs that wait, its max_queued; these are ", jobs));
  }
  return with_retry_delay(
      field_error(absl::StatusCode::kResourceExhausted, "queue",
                  absl::StrCat("\"", queue.name(), "\" holds ", queue.queued(),
                               " jobs that wait, and its max_queued is ", most,
                               jobs > 1 ? absl::StrCat("; these are ", jobs) : "")),
      std::chrono::seconds(1));
}

}  // namespace clusterd
