// Hot paths through the scheduler's decider.
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/proto_time.h"
#include "hot_paths.h"
#include "scheduler/scheduler.h"

namespace clusterd::bench {
namespace {

// A scheduler whose commits are durable at once, and workers that do what they are told when they
// are asked to. What else is decided is dropped.
class DrivenScheduler {
 public:
  DrivenScheduler() : scheduler_({}, contents(), now_) { apply(scheduler_.begin(now_)); }

  // A worker becomes a member that takes jobs; returns its id.
  std::string join(v1::Resources capacity, const std::string& zone) {
    RegisterOrder order;
    const std::string id = job_id(++workers_);
    order.request.set_name(absl::StrCat("w", workers_));
    order.request.set_address(order.request.name() + ":1");
    *order.request.mutable_capacity() = std::move(capacity);
    (*order.request.mutable_labels())["zone"] = zone;
    order.request.mutable_identity()->set_boot_id("boot");
    order.request.mutable_identity()->set_journal_id("journal");
    order.request.mutable_identity()->add_features("limits");
    order.fresh_worker_id = id;
    order.fresh_sha256 = "digest";
    apply(scheduler_.register_worker(++calls_, order, now_));
    v1::SessionHello hello;
    *hello.mutable_identity() = order.request.identity();
    hello.mutable_identity()->set_worker_id(id);
    const StreamId stream = workers_;
    apply(scheduler_.session_hello(stream, hello, "digest", now_));
    sessions_[id] = {stream, session_};
    v1::WorkerIdentity identity;
    identity.set_worker_id(id);
    apply(scheduler_.called_back(id, session_, identity, now_));
    return id;
  }

  void submit(v1::JobSpec spec) {
    SubmitOrder order{.job_id = job_id(++jobs_), .spec = std::move(spec)};
    order.submitted_by = "token:ci";
    apply(scheduler_.submit(++calls_, std::move(order), now_));
  }

  // The start that was ordered first is taken, and begins.
  void start() {
    must(!ordered_.empty(), "nothing was ordered");
    const Dispatch order = std::move(ordered_.front());
    ordered_.pop_front();
    v1::StartJobsResponse answer;
    *answer.add_verdicts()->mutable_key() = order.attempt.key();
    apply(scheduler_.start_answered(order.worker_id, order.session, {order.attempt.key()}, answer,
                                    now_));
    v1::SessionRequest message = message_of(order.worker_id);
    v1::JobEvent& event = *message.mutable_events()->add_events();
    *event.mutable_key() = order.attempt.key();
    *event.mutable_time() = to_proto(now_.wall);
    event.mutable_started()->set_output_path(
        absl::StrCat("/var/lib/clusterd/output/", order.attempt.key().job_id(), "/1"));
    say(order.worker_id, message);
    running_.emplace_back(order.worker_id, order.attempt.key());
  }

  // What was started first ends.
  void end() {
    must(!running_.empty(), "nothing runs");
    const auto [worker_id, key] = std::move(running_.front());
    running_.pop_front();
    v1::SessionRequest message = message_of(worker_id);
    v1::JobEvent& event = *message.mutable_events()->add_events();
    *event.mutable_key() = key;
    *event.mutable_time() = to_proto(now_.wall);
    event.mutable_ended()->set_reason(v1::JobEnd::EXITED);
    event.mutable_ended()->set_exit_code(0);
    event.mutable_ended()->add_outputs()->set_stream(v1::OutputStream::MERGED);
    say(worker_id, message);
  }

  void heartbeat(const std::string& worker_id) {
    v1::SessionRequest message = message_of(worker_id);
    message.mutable_heartbeat()->set_load(0.5);
    message.mutable_heartbeat()->set_output_free_bytes(1ULL << 40);
    message.mutable_heartbeat()->set_number(++heartbeats_);
    say(worker_id, message);
  }

  void start_all() {
    while (!ordered_.empty()) start();
  }

  void advance(std::chrono::nanoseconds by) {
    now_.boot += by;
    now_.wall += by;
  }

 private:
  static StoreContents contents() {
    StoreContents contents;
    contents.meta.set_epoch(1);
    return contents;
  }

  v1::SessionRequest message_of(const std::string& worker_id) {
    v1::SessionRequest message;
    message.set_epoch(scheduler_.epoch());
    message.set_session(sessions_.at(worker_id).second);
    return message;
  }

  void say(const std::string& worker_id, const v1::SessionRequest& message) {
    apply(scheduler_.session_message(sessions_.at(worker_id).first, message, now_));
  }

  // As Term does, which looks at the clock at the end of each turn of its thread.
  void apply(Decision decision) {
    perform(std::move(decision));
    perform(scheduler_.tick(now_));
  }

  void perform(Decision decision) {
    if (!decision.persist.empty()) scheduler_.committed(decision.after);
    for (Effect& effect : decision.effects) {
      if (auto* order = std::get_if<Dispatch>(&effect)) ordered_.push_back(std::move(*order));
      if (const auto* reply = std::get_if<Reply>(&effect)) must(reply->answer.status());
      if (const auto* down = std::get_if<SendDown>(&effect)) {
        if (down->message.has_welcome()) session_ = down->message.welcome().session();
      }
    }
  }

  Now now_ = still_time();
  Scheduler scheduler_;
  CallId calls_ = 0;
  uint64_t jobs_ = 0;
  uint64_t workers_ = 0;
  uint64_t heartbeats_ = 0;
  uint64_t session_ = 0;                                           // the newest
  std::map<std::string, std::pair<StreamId, uint64_t>> sessions_;  // by worker
  std::deque<Dispatch> ordered_;
  std::deque<std::pair<std::string, v1::AttemptKey>> running_;
};

v1::Resources slots(uint32_t count) {
  v1::Resources resources;
  resources.set_slots(count);
  return resources;
}

// Kinds of jobs that differ in where they can or would rather run.
v1::JobSpec of_shape(uint64_t number) {
  v1::JobSpec spec = plain_spec();
  switch (number % 8) {
    case 1:
      spec.add_require("zone=a");
      break;
    case 2:
      spec.add_require("zone in (a,b)");
      break;
    case 3:
      (*spec.mutable_resources()->mutable_custom())["gpu"] = 1;
      break;
    case 4:
      spec.mutable_resources()->set_memory_bytes(1ULL << 30);
      break;
    case 5: {
      v1::Preference& wish = *spec.add_prefer();
      wish.set_match("zone=b");
      wish.set_weight(10);
      break;
    }
    case 6:
      spec.set_pack(true);
      break;
    case 7:
      spec.set_priority(10);
      break;
    default:
      break;
  }
  return spec;
}

// 1,000 workers of one slot, each with a job.
std::unique_ptr<DrivenScheduler> full_cluster() {
  constexpr uint64_t kWorkers = 1000;
  auto driven = std::make_unique<DrivenScheduler>();
  for (uint64_t number = 0; number < kWorkers; ++number) {
    v1::Resources capacity = slots(1);
    capacity.set_memory_bytes(64ULL << 30);
    if (number % 2 == 0) (*capacity.mutable_custom())["gpu"] = 1;
    driven->join(std::move(capacity), number % 3 == 0 ? "a" : "b");
  }
  for (uint64_t number = 0; number < kWorkers; ++number) driven->submit(plain_spec());
  driven->start_all();
  return driven;
}

}  // namespace

Operation job_decisions() {
  auto driven = std::make_unique<DrivenScheduler>();
  driven->join(slots(8), "a");
  return [driven = std::move(driven), spec = plain_spec()] {
    driven->submit(spec);
    driven->start();
    driven->end();
  };
}

Operation task_decisions() {
  auto driven = std::make_unique<DrivenScheduler>();
  driven->join(slots(8), "a");
  v1::JobSpec spec = plain_spec();
  spec.mutable_array()->set_to(99'999);
  driven->submit(std::move(spec));
  return [driven = std::move(driven)] {
    driven->start();
    driven->end();
  };
}

Operation heartbeat_decision() {
  constexpr size_t kWorkers = 1000;
  auto driven = std::make_unique<DrivenScheduler>();
  std::vector<std::string> workers;
  while (workers.size() < kWorkers) workers.push_back(driven->join(slots(8), "a"));
  return [driven = std::move(driven), workers = std::move(workers), next = size_t{0}]() mutable {
    driven->advance(std::chrono::milliseconds(5));  // each of them every 5 s
    driven->heartbeat(workers[next++ % kWorkers]);
  };
}

Operation waiting_submit() {
  auto driven = full_cluster();
  return [driven = std::move(driven), number = uint64_t{0}]() mutable {
    driven->submit(of_shape(number++));
  };
}

Operation placement() {
  constexpr uint64_t kWaiting = 1000;
  auto driven = full_cluster();
  for (uint64_t number = 0; number < kWaiting; ++number) driven->submit(of_shape(number));
  return [driven = std::move(driven)] {
    driven->end();
    driven->start_all();
  };
}

}  // namespace clusterd::bench
