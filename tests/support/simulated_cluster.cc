#include "support/simulated_cluster.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/proto_time.h"
#include "support/placement_check.h"

namespace clusterd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kTroubles(120);
constexpr seconds kPatience(3600);  // after the last fault
constexpr double kCpus = 2;
constexpr uint32_t kLastIndex = 12;  // of the largest array

SchedulerConfig quick_config() {
  SchedulerConfig config;
  config.scheduling.worker_timeout = seconds(5);
  config.scheduling.lost_after = seconds(15);
  config.scheduling.heartbeat_interval = seconds(1);
  config.scheduling.max_queued = 40;
  return config;
}

}  // namespace

SimulatedCluster::SimulatedCluster(uint64_t seed)
    : time_(seed), store_(1000), config_(quick_config()), is_rich_(seed % 4 == 0 || seed % 4 == 3) {
  const int64_t workers = time_.pick(2, 5);
  for (int64_t i = 0; i < workers; ++i) {
    workers_.push_back(std::make_unique<SimulatedWorker>(
        absl::StrCat("w", i), static_cast<uint32_t>(time_.pick(2, 4)), time_, truth_, network()));
  }
}

std::string SimulatedCluster::run() {
  begin_term();
  for (auto& worker : workers_) {
    time_.after(time_.pick_ms(0, 3000), [&worker = *worker] { worker.boot(); });
  }
  if (is_rich_) {
    set_queue("a", 3, 2);
    set_queue("b", 1, 0);
  }
  next_caller();
  next_fault();
  time_.after(kTroubles, [this] { faulty_ = false; });
  const BootTime end = time_.now().boot + kTroubles + kPatience;
  while (truth_.breach().empty() && time_.now().boot < end && time_.step()) {
    check_capacity();
    check_queues();
    check_placement();
    if (!faulty_ && live_ == 0) break;
  }
  if (truth_.breach().empty() && live_ > 0) truth_.breach("stuck: " + what_is_left());
  return truth_.breach();
}

// ---- the scheduler's surroundings

void SimulatedCluster::begin_term() {
  auto contents = store_.begin_term();
  truth_.note(absl::StrCat("epoch ", contents->meta.epoch()));
  term_ = std::make_unique<SimulatedTerm>(
      time_, store_, *std::move(contents), config_,
      SimulatedTerm::Outside{.perform = [this](Effect effect) { perform(std::move(effect)); },
                             .on_failure = [this] { end_term(); },
                             .on_commit = [this] { check_records(); }});
  term_->begin();
}

void SimulatedCluster::end_term() {
  truth_.note("term ends");
  term_.reset();
  for (auto& [id, on_answer] : std::exchange(calls_, {})) {
    on_answer(absl::UnavailableError("the term ended"));
  }
  for (const auto& [stream, worker] : std::exchange(streams_, {})) {
    time_.after(time_.pick_ms(0, 50), [stream = stream, worker = worker] {
      if (!worker->is_reachable()) return;  // it notices by itself
      worker->session_lost(stream);
    });
  }
  time_.after(time_.pick_ms(100, 3000), [this] { begin_term(); });
}

SimulatedWorker* SimulatedCluster::worker_of(const std::string& worker_id) {
  const auto found = by_id_.find(worker_id);
  return found == by_id_.end() ? nullptr : found->second;
}

void SimulatedCluster::perform(Effect effect) {
  if (auto* answer = std::get_if<Reply>(&effect)) {
    const auto found = calls_.find(answer->call);
    if (found == calls_.end()) return;
    const OnAnswer on_answer = std::move(found->second);
    calls_.erase(found);
    on_answer(answer->answer);
  } else if (const auto* order = std::get_if<Dispatch>(&effect)) {
    dispatch(*order);
  } else if (const auto* stop = std::get_if<StopAttempt>(&effect)) {
    stop_attempt(*stop);
  } else if (const auto* back = std::get_if<CallBack>(&effect)) {
    call_back(*back);
  } else if (const auto* down = std::get_if<SendDown>(&effect)) {
    send_down(*down);
  } else if (const auto* close = std::get_if<CloseStream>(&effect)) {
    const auto found = streams_.find(close->stream);
    if (found == streams_.end()) return;
    SimulatedWorker* worker = found->second;
    streams_.erase(found);
    time_.after(time_.pick_ms(0, 20), [worker, stream = close->stream] {
      if (worker->is_reachable()) worker->session_lost(stream);
    });
  }
}

void SimulatedCluster::dispatch(const Dispatch& order) {
  if (!store_.find_job(order.attempt.key().job_id()).ok()) {
    truth_.breach("sent before it was durable: " + order.attempt.key().job_id());
  }
  v1::StartJobsRequest request;
  request.set_epoch(term_->scheduler().epoch());
  request.set_session(order.session);
  *request.add_attempts() = order.attempt;
  const auto answered = [this, worker_id = order.worker_id, session = order.session,
                         key = order.attempt.key(),
                         epoch = request.epoch()](absl::StatusOr<v1::StartJobsResponse> answer) {
    if (term_ == nullptr || term_->scheduler().epoch() != epoch) return;
    term_->apply(term_->scheduler().start_answered(worker_id, session, {key}, answer, time_.now()));
  };
  const bool lost = faulty_ && time_.chance(3);
  time_.after(time_.pick_ms(0, 30), [this, request, answered, lost, id = order.worker_id] {
    SimulatedWorker* worker = worker_of(id);
    const bool arrives = worker != nullptr && (worker->is_reachable() || worker->is_hung());
    if (!arrives || lost) {
      return time_.after(time_.pick_ms(1, 5000),
                         [answered] { answered(absl::UnavailableError("no answer")); });
    }
    const bool hangs = worker->is_hung();
    const bool answer_lost = hangs || (faulty_ && time_.chance(3));
    worker->when_awake([this, worker, request, answered, answer_lost] {
      worker->start(request, [this, answered,
                              answer_lost](const absl::StatusOr<v1::StartJobsResponse>& answer) {
        if (answer_lost) return;
        time_.after(time_.pick_ms(0, 30), [answered, answer] { answered(answer); });
      });
    });
    if (answer_lost) {
      time_.after(time_.pick_ms(1000, 5000),
                  [answered] { answered(absl::DeadlineExceededError("no answer")); });
    }
  });
}

void SimulatedCluster::stop_attempt(const StopAttempt& order) {
  v1::StopJobsRequest request;
  request.set_epoch(term_->scheduler().epoch());
  request.set_session(order.session);
  *request.add_keys() = order.key;
  const auto answered = [this, order, epoch = request.epoch()](const absl::Status& status) {
    if (term_ == nullptr || term_->scheduler().epoch() != epoch) return;
    term_->apply(term_->scheduler().stop_answered(order.worker_id, order.session, {order.key},
                                                  status, time_.now()));
  };
  time_.after(time_.pick_ms(0, 30), [this, request, answered, id = order.worker_id] {
    SimulatedWorker* worker = worker_of(id);
    if (worker == nullptr || !worker->is_reachable() || (faulty_ && time_.chance(3))) {
      return time_.after(time_.pick_ms(1, 5000),
                         [answered] { answered(absl::UnavailableError("no answer")); });
    }
    worker->stop(request, [this, answered](const absl::StatusOr<v1::StartJobsResponse>& answer) {
      time_.after(time_.pick_ms(0, 30), [answered, status = answer.status()] { answered(status); });
    });
  });
}

void SimulatedCluster::call_back(const CallBack& order) {
  term_->after(time_.pick_ms(0, 30), [this, order] {
    SimulatedWorker* worker = worker_of(order.worker_id);
    absl::StatusOr<v1::WorkerIdentity> answer = absl::UnavailableError("no answer");
    const bool answers = worker != nullptr && worker->is_reachable();
    if (answers) answer = worker->identity();
    term_->after(answers ? time_.pick_ms(0, 30) : time_.pick_ms(1, 3000), [this, order, answer] {
      term_->apply(
          term_->scheduler().called_back(order.worker_id, order.session, answer, time_.now()));
    });
  });
}

void SimulatedCluster::deliver(uint64_t stream, VirtualTime::Task task) {
  BootTime at = time_.now().boot + time_.pick_ms(0, 30);
  BootTime& last = last_delivery_[stream];
  at = std::max(at, last);
  last = at;
  time_.after(at - time_.now().boot, std::move(task));
}

void SimulatedCluster::send_down(const SendDown& down) {
  const auto found = streams_.find(down.stream);
  if (found == streams_.end()) return;
  SimulatedWorker* worker = found->second;
  deliver(down.stream, [worker, down] {
    if (!worker->is_reachable() && !worker->is_hung()) return;  // lost with the network
    worker->when_awake([worker, down] { worker->session_message(down.stream, down.message); });
  });
}

void SimulatedCluster::call(Decide decide, OnAnswer on_answer) {
  const CallId id = ++last_call_;
  if (term_ == nullptr) return on_answer(absl::UnavailableError("not ready"));
  calls_.emplace(id, std::move(on_answer));
  term_->apply(decide(term_->scheduler(), id, time_.now()));
}

// ---- the workers' network

SimulatedWorker::Network SimulatedCluster::network() {
  SimulatedWorker::Network network;
  network.open_session = [this](SimulatedWorker& worker) { open_session(worker); };
  network.close_session = [this](SimulatedWorker& worker) { close_session(worker); };
  network.deregister = [this](SimulatedWorker& worker, bool leaving) {
    deregister(worker, leaving);
  };
  network.send = [this](SimulatedWorker& worker, v1::SessionRequest message) {
    if (!worker.is_reachable()) return;
    deliver(worker.stream(), [this, stream = worker.stream(), message = std::move(message)] {
      if (term_ == nullptr || !streams_.contains(stream)) return;
      term_->apply(term_->scheduler().session_message(stream, message, time_.now()));
    });
  };
  return network;
}

void SimulatedCluster::open_session(SimulatedWorker& worker) {
  const uint64_t stream = ++last_stream_;
  worker.opened(stream);
  RegisterOrder order;
  order.request.set_name(worker.name());
  order.request.set_address(worker.name() + ":1");
  order.request.mutable_capacity()->set_slots(worker.slots());
  order.request.mutable_capacity()->set_cpus(kCpus);
  (*order.request.mutable_labels())["zone"] = worker.zone();
  *order.request.mutable_identity() = worker.identity();
  order.presented_sha256 = "digest";
  order.fresh_worker_id = "id-of-" + worker.name();
  order.fresh_sha256 = "digest";
  call([order](Scheduler& scheduler, CallId id,
               Now now) { return scheduler.register_worker(id, order, now); },
       [this, &worker, stream](const absl::StatusOr<Answer>& answer) {
         if (!answer.ok() || worker.stream() != stream) return;  // it tries again
         const auto& membership = std::get<v1::RegisterWorkerResponse>(*answer);
         worker.set_membership(membership.worker_id(), membership.epoch());
         by_id_[membership.worker_id()] = &worker;
         deliver(stream, [this, &worker, stream] {
           if (term_ == nullptr || worker.stream() != stream || !worker.is_reachable()) return;
           streams_[stream] = &worker;
           term_->apply(
               term_->scheduler().session_hello(stream, worker.hello(), "digest", time_.now()));
         });
       });
}

void SimulatedCluster::close_session(SimulatedWorker& worker) {
  const uint64_t stream = worker.stream();
  worker.opened(0);
  // The other end hears of it at once, late, or never.
  if (faulty_ && time_.chance(20)) return;
  time_.after(time_.pick_ms(0, 2000), [this, stream] {
    if (streams_.erase(stream) == 0 || term_ == nullptr) return;
    term_->apply(term_->scheduler().session_closed(stream, time_.now()));
  });
}

void SimulatedCluster::deregister(SimulatedWorker& worker, bool leaving) {
  v1::DeregisterWorkerRequest request;
  request.set_worker_id(worker.identity().worker_id());
  request.set_leaving(leaving);
  call([request](Scheduler& scheduler, CallId id,
                 Now now) { return scheduler.deregister_worker(id, request, "digest", now); },
       [](const absl::StatusOr<Answer>&) {});
}

// ---- callers and faults

void SimulatedCluster::next_caller() {
  time_.after(time_.pick_ms(1, 1500), [this] {
    if (!faulty_) return;
    const int64_t kind = time_.pick(1, 100);
    if (kind <= 60) {
      submit();
    } else if (kind <= 75) {
      stop_some();
    } else if (kind <= 85) {
      retry_some();
    } else if (kind <= 95) {
      delete_some();
    } else if (is_rich_ && time_.chance(50)) {
      pause_some();
    } else {
      drain_some();
    }
    next_caller();
  });
}

void SimulatedCluster::next_fault() {
  time_.after(time_.pick_ms(500, 12'000), [this] {
    if (!faulty_) return;
    SimulatedWorker& worker =
        *workers_.at(static_cast<size_t>(time_.pick(0, static_cast<int64_t>(workers_.size()) - 1)));
    switch (time_.pick(1, 11)) {
      case 1:
        store_.fail_commit(1, MemoryStore::Failure::kNothingKept);
        break;
      case 2:
        store_.fail_commit(1, MemoryStore::Failure::kKeptButUnknown);
        break;
      case 3:
        if (term_ != nullptr) end_term();  // killed: what is not durable is gone
        break;
      case 4:
        if (worker.is_reachable()) worker.hang(time_.pick_ms(100, 40'000));
        break;
      case 5:
        if (worker.is_reachable()) worker.cut_off(time_.pick_ms(100, 40'000));
        break;
      case 6:
        worker.restart_process();
        break;
      case 7:
        worker.reboot(time_.pick_ms(100, 30'000));
        break;
      case 8:
        worker.fall_sick(time_.pick_ms(100, 40'000));
        break;
      case 9:
        worker.crash_launcher();
        break;
      case 10:
        time_.set_wall_clock(time_.pick_ms(-600'000, 600'000));
        truth_.note("the wall clock is set");
        break;
      default:
        worker.leave();
    }
    next_fault();
  });
}

v1::JobSpec SimulatedCluster::random_spec() {
  v1::JobSpec spec;
  const int64_t path = time_.pick(1, 100);
  spec.set_path(path <= 4 ? "refused.sh" : path <= 8 ? "broken.sh" : "job.sh");
  spec.add_args(absl::StrCat(time_.chance(20) ? time_.pick(1000, 40'000) : time_.pick(1, 2000)));
  spec.add_args(time_.chance(20) ? "3" : "0");
  spec.mutable_resources()->set_slots(static_cast<uint32_t>(time_.pick(1, 2)));
  if (time_.chance(20)) spec.mutable_resources()->set_cpus(time_.chance(50) ? 0.5 : 2);
  if (time_.chance(15)) spec.add_require(time_.chance(50) ? "zone=a" : "zone!=a");
  spec.set_priority(static_cast<int32_t>(time_.pick(-2, 2)));
  choose_kind(spec);
  choose_conditions(spec);
  if (is_rich_) choose_company(spec);
  return spec;
}

void SimulatedCluster::choose_kind(v1::JobSpec& spec) {
  const int64_t kind = time_.pick(1, 100);
  if (kind <= 15) {
    spec.mutable_array()->set_to(static_cast<uint32_t>(time_.pick(0, kLastIndex)));
    spec.mutable_array()->set_step(static_cast<uint32_t>(time_.pick(0, 3)));
    if (time_.chance(50)) spec.mutable_array()->set_max_parallel(2);
  } else if (kind <= 20) {
    spec.mutable_resources()->set_every_worker(true);
  } else if (kind <= 40) {
    spec.set_worker_id(workers_.front()->name());
  }
}

void SimulatedCluster::choose_conditions(v1::JobSpec& spec) {
  if (time_.chance(40)) {
    v1::RetryPolicy& retry = *spec.mutable_retry();
    retry.set_max_attempts(static_cast<uint32_t>(time_.pick(2, 4)));
    retry.add_on(v1::RetryPolicy::LOSS);
    if (time_.chance(50)) retry.add_on(v1::RetryPolicy::FAILURE);
    if (time_.chance(30)) retry.add_on(v1::RetryPolicy::START_FAILURE);
    *retry.mutable_backoff() = to_proto(time_.pick_ms(10, 3000));
    retry.set_allow_overlap(time_.chance(20));
  }
  if (time_.chance(15)) *spec.mutable_lost_after() = to_proto(time_.pick_ms(5000, 40'000));
  if (time_.chance(10)) *spec.mutable_start_delay() = to_proto(time_.pick_ms(1, 8000));
  if (time_.chance(10)) *spec.mutable_queue_timeout() = to_proto(time_.pick_ms(100, 9000));
  if (time_.chance(15) && !accepted_.empty()) {
    v1::Dependency& dependency = *spec.add_after();
    dependency.set_job_id(some_job());
    dependency.set_on(static_cast<v1::Dependency::On>(time_.pick(1, 3)));
  }
}

void SimulatedCluster::choose_company(v1::JobSpec& spec) {
  if (time_.chance(60)) spec.set_queue(time_.chance(50) ? "a" : "b");
  const bool has_tasks = spec.has_array() || spec.resources().every_worker();
  if (has_tasks || !time_.chance(25)) return;
  spec.mutable_gang()->set_size(static_cast<uint32_t>(time_.pick(1, 5)));
  if (time_.chance(30)) spec.mutable_gang()->set_on_failure(v1::GangSpec::CONTINUE);
  spec.clear_retry();
  *spec.mutable_queue_timeout() = to_proto(seconds(90));  // it may never fit
}

void SimulatedCluster::allow_overlap(const std::string& job_id) {
  truth_.allow_overlap(job_id);
  for (uint32_t index = 0; index <= kLastIndex; ++index) {
    truth_.allow_overlap(task_id(job_id, index));
  }
}

void SimulatedCluster::submit() {
  SubmitOrder order{.job_id = absl::StrCat("job-", ++last_job_), .spec = random_spec()};
  if (order.spec.retry().allow_overlap()) allow_overlap(order.job_id);
  if (time_.chance(50)) {
    order.request.key = absl::StrCat("key-", ++last_key_);
    order.request.sha256 = order.spec.SerializeAsString();
  }
  const auto first = std::make_shared<std::string>();
  const auto keep = [this, order, first](const absl::StatusOr<Answer>& answer) {
    if (!answer.ok()) return;
    const std::string& job_id = std::get<v1::Job>(*answer).job_id();
    truth_.note("accepted " + job_id);
    // A repetition may be answered later than the deletion that came after it.
    if (!deleted_.contains(job_id)) accepted_.insert(job_id);
    if (!first->empty() && *first != job_id) truth_.breach("one key made two jobs: " + job_id);
    *first = job_id;
  };
  const auto decide = [order](Scheduler& scheduler, CallId id, Now now) {
    return scheduler.submit(id, order, now);
  };
  call(decide, keep);
  const int64_t repeats = order.request.key.empty() ? 0 : time_.pick(0, 2);
  for (int64_t i = 0; i < repeats; ++i) {
    time_.after(time_.pick_ms(0, 6000), [this, decide, keep, order] {
      if (touched_.contains(order.job_id)) return;  // deleted: its key may have gone with it
      auto again = order;
      again.job_id = absl::StrCat("job-", ++last_job_);
      if (order.spec.retry().allow_overlap()) allow_overlap(again.job_id);
      call([again](Scheduler& scheduler, CallId id,
                   Now now) { return scheduler.submit(id, again, now); },
           keep);
    });
  }
}

std::string SimulatedCluster::some_job() {
  if (accepted_.empty()) return "nobody";
  auto one = accepted_.begin();
  std::advance(one, time_.pick(0, static_cast<int64_t>(accepted_.size()) - 1));
  return *one;
}

void SimulatedCluster::stop_some() {
  v1::StopJobRequest request;
  request.set_job_id(some_job());
  if (time_.chance(20)) request.set_job_id(task_id(request.job_id(), 1));
  call([request](Scheduler& scheduler, CallId id,
                 Now now) { return scheduler.stop(id, request, "me", {}, now); },
       [](const absl::StatusOr<Answer>&) {});
}

void SimulatedCluster::retry_some() {
  v1::RetryJobRequest request;
  request.set_job_id(some_job());
  touched_.insert(request.job_id());
  allow_overlap(request.job_id());
  if (time_.chance(30)) request.set_job_id(task_id(request.job_id(), 0));
  call([request](Scheduler& scheduler, CallId id,
                 Now now) { return scheduler.retry(id, request, {}, now); },
       [](const absl::StatusOr<Answer>&) {});
}

void SimulatedCluster::delete_some() {
  v1::DeleteJobRequest request;
  request.set_job_id(some_job());
  touched_.insert(request.job_id());
  deleting_.insert(request.job_id());
  call([request](Scheduler& scheduler, CallId id,
                 Now now) { return scheduler.erase(id, request, {}, now); },
       [this, request](const absl::StatusOr<Answer>& answer) {
         deleting_.erase(deleting_.find(request.job_id()));
         if (!answer.ok() && !absl::IsUnavailable(answer.status())) return;
         accepted_.erase(request.job_id());
         deleted_.insert(request.job_id());
       });
}

void SimulatedCluster::drain_some() {
  const std::string name = workers_.back()->name();
  v1::DrainWorkerRequest drain;
  drain.set_worker_id(name);
  if (time_.chance(30)) *drain.mutable_deadline() = to_proto(time_.pick_ms(100, 5000));
  call([drain](Scheduler& scheduler, CallId id,
               Now now) { return scheduler.drain(id, drain, {}, now); },
       [](const absl::StatusOr<Answer>&) {});
  time_.after(time_.pick_ms(100, 20'000), [this, name] { resume_worker(name); });
}

void SimulatedCluster::resume_worker(const std::string& name) {
  v1::ResumeWorkerRequest request;
  request.set_worker_id(name);
  call([request](Scheduler& scheduler, CallId id,
                 Now now) { return scheduler.resume(id, request, {}, now); },
       [this, name](const absl::StatusOr<Answer>& answer) {
         if (answer.ok()) return;
         time_.after(seconds(1), [this, name] { resume_worker(name); });  // it may be away
       });
}

void SimulatedCluster::set_queue(const std::string& name, uint32_t weight, uint32_t max_running) {
  v1::SetQueueRequest request;
  request.mutable_queue()->set_name(name);
  request.mutable_queue()->set_weight(weight);
  request.mutable_queue()->set_max_running(max_running);
  call([request](Scheduler& scheduler, CallId id,
                 Now now) { return scheduler.set_queue(id, request, {}, now); },
       [](const absl::StatusOr<Answer>&) {});
}

void SimulatedCluster::pause_some() {
  v1::PauseQueueRequest request;
  request.set_name(time_.chance(50) ? "a" : "b");
  call([request](Scheduler& scheduler, CallId id,
                 Now now) { return scheduler.pause_queue(id, request, {}, now); },
       [](const absl::StatusOr<Answer>&) {});
  time_.after(time_.pick_ms(100, 20'000), [this, name = request.name()] { resume_queue(name); });
}

void SimulatedCluster::resume_queue(const std::string& name) {
  v1::ResumeQueueRequest request;
  request.set_name(name);
  call([request](Scheduler& scheduler, CallId id,
                 Now now) { return scheduler.resume_queue(id, request, {}, now); },
       [this, name](const absl::StatusOr<Answer>& answer) {
         if (answer.ok()) return;
         time_.after(seconds(1), [this, name] { resume_queue(name); });
       });
}

// ---- what must hold

void SimulatedCluster::check_capacity() {
  if (term_ == nullptr) return;
  const Decision views = term_->scheduler().list_workers(0, {});
  for (const Effect& effect : views.effects) {
    const auto& answer = std::get<Reply>(effect).answer;
    for (const v1::Worker& worker : std::get<v1::ListWorkersResponse>(*answer).workers()) {
      if (worker.in_use().slots() > worker.capacity().slots()) {
        truth_.breach(absl::StrCat(worker.name(),
                                   " is filled above its capacity: ", worker.in_use().slots()));
      }
    }
  }
}

void SimulatedCluster::check_queues() {
  if (term_ == nullptr) return;
  const Decision view = term_->scheduler().list_queues(0);
  const auto& answer = std::get<Reply>(view.effects.at(0)).answer;
  for (const v1::Queue& queue : std::get<v1::ListQueuesResponse>(*answer).queues()) {
    if (queue.max_running() > 0 && queue.running() > queue.max_running()) {
      truth_.breach(
          absl::StrCat("queue ", queue.name(), " runs more than its cap: ", queue.running()));
    }
    if (queue.running() > 10'000 || queue.queued() > 10'000 || queue.running_slots() > 10'000) {
      truth_.breach("a queue counts below nothing: " + queue.ShortDebugString());
    }
  }
}

void SimulatedCluster::check_gangs() {
  std::map<std::string, uint32_t> sizes;
  store_.visit_jobs([&sizes](const v1::Job& job) {
    if (job.spec().has_gang() && job.spec().has_array()) {
      sizes[job.job_id()] = job.spec().gang().size();
    }
  });
  for (const auto& [job_id, size] : sizes) {
    const auto tasks = store_.recorded_tasks(job_id);
    if (tasks->empty() || tasks->size() == size) continue;
    truth_.breach(
        absl::StrCat("a part of a gang has started: ", job_id, ", ", tasks->size(), " of ", size));
  }
}

void SimulatedCluster::check_placement() {
  if (term_ == nullptr || term_->changes() == checked_changes_ || !term_->is_settled()) return;
  checked_changes_ = term_->changes();
  const std::string stuck = job_stuck_though_it_fits(term_->scheduler(), store_);
  if (!stuck.empty()) truth_.breach(stuck);
}

void SimulatedCluster::check_records() {
  if (is_rich_) check_gangs();
  const std::string full = worker_above_capacity(term_->scheduler(), store_);
  if (!full.empty()) truth_.breach(full);
  for (const std::string& job_id : accepted_) {
    if (deleting_.contains(job_id) || store_.find_job(job_id).ok()) continue;
    truth_.breach("an accepted job vanished: " + job_id);
  }
  live_ = 0;
  store_.visit_jobs([this](const v1::Job& job) {
    v1::Job::State& state = states_[job.job_id()];
    if (state != job.state()) coverage_.changed(state, job);
    state = job.state();
    if (!is_final(job.state())) {
      ++live_;
      return;
    }
    const std::string& job_id = job.job_id();
    const auto parts = split_task_id(job_id);
    if (touched_.contains(parts ? parts->first : job_id)) return;
    const std::string end = job.end().SerializeAsString();
    const auto [known, is_new] = ended_.emplace(job_id, end);
    if (!is_new && known->second != end) truth_.breach("an ended job changed: " + job_id);
    if (is_new) check_end(job);
  });
}

void SimulatedCluster::check_end(const v1::Job& job) {
  if (has_tasks(job)) return;
  const v1::JobEnd::Reason reason = job.end().reason();
  if (state_of(job.end()) != job.state()) truth_.breach("end and state differ: " + job.job_id());
  const v1::JobEnd* really = truth_.end_of(job.job_id(), job.attempt());
  if (reason == v1::JobEnd::EXITED &&
      (really == nullptr || really->exit_code() != job.end().exit_code())) {
    truth_.breach("an exit that was none: " + job.job_id());
  }
  const bool never = job.attempts().empty() && reason != v1::JobEnd::WORKER_LOST;
  if (never && truth_.has_started(job.job_id(), 1)) {
    truth_.breach("ended before its start, and started: " + job.job_id());
  }
}

std::string SimulatedCluster::what_is_left() const {
  std::string text;
  store_.visit_jobs([&text](const v1::Job& job) {
    if (is_final(job.state()) || text.size() > 2000) return;
    absl::StrAppend(&text, job.ShortDebugString(), "; ");
  });
  if (term_ == nullptr) return text + "no term is in office";
  for (const Effect& effect : term_->scheduler().list_workers(0, {}).effects) {
    const auto& answer = std::get<Reply>(effect).answer;
    absl::StrAppend(&text, std::get<v1::ListWorkersResponse>(*answer).ShortDebugString());
  }
  return text;
}

}  // namespace clusterd
