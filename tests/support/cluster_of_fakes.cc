#include "support/cluster_of_fakes.h"

#include <catch2/catch.hpp>

#include "core/field_error.h"
#include "core/proto_time.h"
#include "scheduler/look_up.h"

namespace clusterd {
namespace {

StoreContents loaded(MemoryStore& store, std::vector<v1::Job> jobs,
                     std::vector<internal::WorkerRecord> workers,
                     std::vector<v1::Schedule> schedules) {
  StoreBatch batch;
  batch.put_schedules = std::move(schedules);
  batch.put_jobs = std::move(jobs);
  batch.put_workers = std::move(workers);
  REQUIRE(store.commit({&batch, 1}).ok());
  auto contents = store.begin_term();
  REQUIRE(contents.ok());
  return *std::move(contents);
}

SchedulerConfig with(const SchedulerConfig::Scheduling& scheduling) {
  SchedulerConfig config;
  config.scheduling = scheduling;
  return config;
}

v1::AttemptKey key_of(const std::string& job_id, uint32_t attempt) {
  v1::AttemptKey key;
  key.set_job_id(job_id);
  key.set_attempt(attempt);
  return key;
}

}  // namespace

v1::JobSpec spec_for(const std::string& worker, uint32_t slots) {
  v1::JobSpec spec;
  spec.set_worker_id(worker);
  spec.set_path("count.sh");
  spec.set_command("bash");
  spec.mutable_resources()->set_slots(slots);
  return spec;
}

ClusterOfFakes::ClusterOfFakes(const SchedulerConfig::Scheduling& scheduling)
    : ClusterOfFakes(scheduling, {}) {}

ClusterOfFakes::ClusterOfFakes(const SchedulerConfig::Scheduling& scheduling,
                               std::vector<v1::Job> jobs,
                               std::vector<internal::WorkerRecord> workers,
                               std::vector<v1::Schedule> schedules)
    : scheduler(with(scheduling),
                loaded(store, std::move(jobs), std::move(workers), std::move(schedules)), now),
      jobs_made_(store.jobs().size()) {
  apply(scheduler.begin(now));
}

std::string ClusterOfFakes::join(const std::string& name, uint32_t slots,
                                 const std::optional<std::vector<std::string>>& unenforced,
                                 std::optional<std::chrono::nanoseconds> stop_grace) {
  RegisterOrder order;
  order.request.set_name(name);
  order.request.set_address(name + ":1");
  order.request.mutable_capacity()->set_slots(slots);
  order.request.mutable_capacity()->mutable_custom()->insert(units.begin(), units.end());
  order.request.mutable_labels()->insert(labels.begin(), labels.end());
  order.request.mutable_taints()->Add(taints.begin(), taints.end());
  order.request.mutable_handlers()->Assign(handlers.begin(), handlers.end());
  if (stop_grace) *order.request.mutable_stop_grace() = to_proto(*stop_grace);
  order.request.mutable_identity()->set_boot_id("boot");
  order.request.mutable_identity()->set_journal_id("journal");
  order.fresh_worker_id = "id-of-" + name;
  order.fresh_secret = "secret";
  order.fresh_sha256 = "digest";
  for (const std::string& feature : features) {
    order.request.mutable_identity()->add_features(feature);
  }
  if (unenforced) {
    order.request.mutable_identity()->add_features("limits");
    for (const std::string& limit : *unenforced) order.request.add_unenforced_limits(limit);
  }
  if (streams_.contains(order.fresh_worker_id)) {
    order.request.mutable_identity()->set_worker_id(order.fresh_worker_id);
    order.presented_sha256 = "digest";
  }
  const CallId call = next_call++;
  apply(scheduler.register_worker(call, order, now));
  REQUIRE(reply(call)->ok());
  open_session(order.fresh_worker_id);
  answer_call_back(order.fresh_worker_id);
  return order.fresh_worker_id;
}

StreamId ClusterOfFakes::open_session(const std::string& worker_id,
                                      const std::vector<v1::HeldAttempt>& inventory,
                                      const std::string& boot_id) {
  v1::SessionHello hello;
  hello.mutable_identity()->set_worker_id(worker_id);
  hello.mutable_identity()->set_boot_id(boot_id);
  hello.mutable_identity()->set_journal_id("journal");
  for (const std::string& feature : features) hello.mutable_identity()->add_features(feature);
  for (const auto& held : inventory) *hello.add_inventory() = held;
  return say_hello(hello, "digest");
}

StreamId ClusterOfFakes::open_original_session(const std::string& worker_id,
                                               const std::vector<v1::HeldAttempt>& inventory,
                                               const std::string& journal_id) {
  v1::SessionHello hello;
  hello.mutable_identity()->set_worker_id(worker_id);
  hello.mutable_identity()->set_journal_id(journal_id);
  for (const auto& held : inventory) *hello.add_inventory() = held;
  return say_hello(hello, "");
}

StreamId ClusterOfFakes::say_hello(const v1::SessionHello& hello, const std::string& digest) {
  const std::string& worker_id = hello.identity().worker_id();
  const StreamId stream = next_stream_++;
  streams_[worker_id] = stream;
  apply(scheduler.session_hello(stream, hello, digest, now));
  for (const SendDown& down : sent) {
    if (down.stream == stream && down.message.has_welcome()) {
      sessions_[worker_id] = down.message.welcome().session();
    }
  }
  return stream;
}

void ClusterOfFakes::answer_call_back(const std::string& worker_id, bool alive) {
  v1::WorkerIdentity identity;
  identity.set_worker_id(worker_id);
  const absl::StatusOr<v1::WorkerIdentity> answer =
      alive ? absl::StatusOr<v1::WorkerIdentity>(identity)
            : absl::UnavailableError("connection refused");
  apply(scheduler.called_back(worker_id, sessions_.at(worker_id), answer, now));
}

CallId ClusterOfFakes::submit(v1::JobSpec spec, const std::string& request_key,
                              const std::string& request_sha256) {
  const CallId call = next_call++;
  SubmitOrder order{.job_id = "job-" + std::to_string(++jobs_made_), .spec = std::move(spec)};
  order.request = {request_key, request_sha256};
  apply(scheduler.submit(call, std::move(order), now));
  return call;
}

void ClusterOfFakes::send_event(const std::string& worker_id, v1::JobEvent event) {
  v1::SessionRequest message;
  message.set_epoch(scheduler.epoch());
  message.set_session(sessions_.at(worker_id));
  *message.mutable_events()->add_events() = std::move(event);
  apply(scheduler.session_message(streams_.at(worker_id), message, now));
}

void ClusterOfFakes::heartbeat(const std::string& worker_id, const std::string& occupied) {
  v1::SessionRequest message;
  message.set_epoch(scheduler.epoch());
  message.set_session(sessions_.at(worker_id));
  message.mutable_heartbeat()->set_occupied(occupied);
  apply(scheduler.session_message(streams_.at(worker_id), message, now));
}

void ClusterOfFakes::say_started(const std::string& worker_id, const std::string& job_id,
                                 uint32_t attempt) {
  v1::JobEvent event;
  *event.mutable_key() = key_of(job_id, attempt);
  *event.mutable_time() = to_proto(now.wall);
  event.mutable_started();
  send_event(worker_id, event);
}

void ClusterOfFakes::say_ended(const std::string& worker_id, const std::string& job_id,
                               int exit_code, uint32_t attempt) {
  v1::JobEvent event;
  *event.mutable_key() = key_of(job_id, attempt);
  *event.mutable_time() = to_proto(now.wall);
  event.mutable_ended()->set_reason(v1::JobEnd::EXITED);
  event.mutable_ended()->set_exit_code(exit_code);
  send_event(worker_id, event);
}

void ClusterOfFakes::refuse(const std::string& worker_id, const std::string& job_id,
                            const absl::Status& why) {
  v1::StartJobsResponse answer;
  v1::StartVerdict& verdict = *answer.add_verdicts();
  *verdict.mutable_key() = key_of(job_id, 1);
  *verdict.mutable_refusal() = to_proto(why);
  apply(scheduler.start_answered(worker_id, sessions_.at(worker_id), {key_of(job_id, 1)}, answer,
                                 now));
}

v1::Job ClusterOfFakes::stop(const std::string& job_id) {
  v1::StopJobRequest request;
  request.set_job_id(job_id);
  const CallId call = next_call++;
  apply(scheduler.stop(call, request, "me", {}, now));
  return job_reply(call);
}

void ClusterOfFakes::apply(Decision decision) {
  if (holding_) {
    held_.push_back(std::move(decision));
    return;
  }
  if (!decision.persist.empty()) REQUIRE(store.commit({&decision.persist, 1}).ok());
  scheduler.committed(decision.after);
  perform(std::move(decision.effects));
}

void ClusterOfFakes::release_commits() {
  holding_ = false;
  for (Decision& decision : std::exchange(held_, {})) apply(std::move(decision));
}

void ClusterOfFakes::perform(std::vector<Effect> effects) {
  for (Effect& effect : effects) {
    if (auto* one = std::get_if<Reply>(&effect)) {
      REQUIRE(replies_.emplace(one->call, std::move(one->answer)).second);  // answered once
    } else if (auto* question = std::get_if<LookUp>(&effect)) {
      apply(scheduler.looked_up(question->id, look_up(store, *question), now));
    } else if (auto* find = std::get_if<FindExpired>(&effect)) {
      apply(scheduler.expired(*store.find_expired(find->before, find->max_jobs, find->limit), now));
    } else if (auto* matching = std::get_if<FindMatching>(&effect)) {
      apply(scheduler.matched(matching->id, find_matching(store, *matching), now));
    } else if (auto* doomed = std::get_if<SendDoomed>(&effect)) {
      auto ids = store.find_doomed(doomed->worker_id, 1000);
      for (const std::string& id : *ids) {
        doomed->message.mutable_delete_outputs()->add_job_ids(id);
      }
      if (!ids->empty()) sent.push_back({doomed->stream, doomed->message});
    } else if (auto* start = std::get_if<Dispatch>(&effect)) {
      CHECK(store.find_job(start->attempt.key().job_id()).ok());  // durable before it is sent
      dispatched.push_back(std::move(*start));
    } else if (auto* stop = std::get_if<StopAttempt>(&effect)) {
      stops.push_back(std::move(*stop));
    } else if (auto* back = std::get_if<CallBack>(&effect)) {
      call_backs.push_back(std::move(*back));
    } else if (auto* down = std::get_if<SendDown>(&effect)) {
      sent.push_back(std::move(*down));
    } else if (auto* close = std::get_if<CloseStream>(&effect)) {
      closed.push_back(std::move(*close));
    } else if (auto* admit = std::get_if<AdmitOriginal>(&effect)) {
      admitted.push_back(std::move(*admit));
    }
  }
}

void ClusterOfFakes::advance(std::chrono::nanoseconds by) {
  const BootTime target = now.boot + by;
  while (true) {
    const auto next = scheduler.next_deadline();
    const BootTime step = next && *next < target ? std::max(*next, now.boot) : target;
    now.wall += step - now.boot;
    now.boot = step;
    apply(scheduler.tick(now));
    if (step == target) return;
  }
}

const absl::StatusOr<Answer>* ClusterOfFakes::reply(CallId call) const {
  const auto found = replies_.find(call);
  return found == replies_.end() ? nullptr : &found->second;
}

v1::Job ClusterOfFakes::job_reply(CallId call) const {
  const auto* answer = reply(call);
  REQUIRE(answer != nullptr);
  INFO(answer->status().ToString());
  REQUIRE(answer->ok());
  return std::get<v1::Job>(**answer);
}

std::optional<v1::Job> ClusterOfFakes::stored(const std::string& job_id) {
  const auto jobs = store.jobs();
  const auto found = jobs.find(job_id);
  if (found == jobs.end()) return std::nullopt;
  return found->second;
}

v1::Queue ClusterOfFakes::set_queue(const std::string& name, uint32_t weight, uint32_t max_running,
                                    uint64_t max_queued) {
  v1::SetQueueRequest request;
  request.mutable_queue()->set_name(name);
  request.mutable_queue()->set_weight(weight);
  request.mutable_queue()->set_max_running(max_running);
  request.mutable_queue()->set_max_queued(max_queued);
  const CallId call = next_call++;
  apply(scheduler.set_queue(call, request, {}, now));
  INFO(reply(call)->status().ToString());
  REQUIRE(reply(call)->ok());
  return std::get<v1::Queue>(**reply(call));
}

v1::Queue ClusterOfFakes::queue(const std::string& name) {
  v1::GetQueueRequest request;
  request.set_name(name);
  const CallId call = next_call++;
  apply(scheduler.get_queue(call, request));
  INFO(reply(call)->status().ToString());
  REQUIRE(reply(call)->ok());
  return std::get<v1::Queue>(**reply(call));
}

v1::ExplainJobResponse ClusterOfFakes::explain(const std::string& job_id) {
  v1::ExplainJobRequest request;
  request.set_job_id(job_id);
  const CallId call = next_call++;
  apply(scheduler.explain(call, request));
  REQUIRE(reply(call)->ok());
  return std::get<v1::ExplainJobResponse>(**reply(call));
}

v1::Job ClusterOfFakes::query(const std::string& job_id) {
  v1::QueryJobRequest request;
  request.set_job_id(job_id);
  const CallId call = next_call++;
  apply(scheduler.query(call, request));
  return job_reply(call);
}

absl::Status ClusterOfFakes::query_status(const std::string& job_id) {
  v1::QueryJobRequest request;
  request.set_job_id(job_id);
  const CallId call = next_call++;
  apply(scheduler.query(call, request));
  return reply(call)->status();
}

v1::Worker ClusterOfFakes::worker(const std::string& id_or_name) {
  v1::GetWorkerRequest request;
  request.set_worker_id(id_or_name);
  const CallId call = next_call++;
  apply(scheduler.get_worker(call, request));
  REQUIRE(reply(call)->ok());
  return std::get<v1::Worker>(**reply(call));
}

}  // namespace clusterd
