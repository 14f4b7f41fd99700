#include "scheduler/original_worker.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>

using namespace clusterd;
using namespace std::chrono_literals;
using Kind = OriginalCall::Kind;

namespace {

v1::AttemptKey key_of(const std::string& job_id) {
  v1::AttemptKey key;
  key.set_job_id(job_id);
  key.set_attempt(1);
  return key;
}

// One OriginalWorker in virtual time. The scheduler accepts each session; the worker answers, or
// does not, as the test says.
class Stage {
 public:
  explicit Stage(v1::Worker::Protocol protocol, std::vector<v1::HeldAttempt> held = {},
                 bool remembered = false)
      : worker("w", {protocol, 5s, 30s, 5min, 7}, std::move(held), remembered, now) {
    settle();
  }

  // Lets what is due happen and takes what comes of it.
  void settle() {
    worker.tick(now);
    for (auto effects = worker.take_effects(); !effects.empty(); effects = worker.take_effects()) {
      for (OriginalEffect& effect : effects) take(effect);
    }
  }

  void advance(std::chrono::nanoseconds by) {
    const BootTime target = now.boot + by;
    while (now.boot < target) {
      const BootTime next = std::min(worker.next_deadline().value_or(target), target);
      REQUIRE((next > now.boot || settles_++ < 1000));  // it does not spin
      now.wall += std::max(next - now.boot, 0ns);
      now.boot = std::max(next, now.boot);
      settle();
    }
  }

  OriginalCall take_call(Kind kind) {
    const auto found = std::find_if(calls.begin(), calls.end(),
                                    [kind](const OriginalCall& call) { return call.kind == kind; });
    REQUIRE(found != calls.end());
    OriginalCall call = std::move(*found);
    calls.erase(found);
    return call;
  }
  bool has_call(Kind kind) const {
    return std::any_of(calls.begin(), calls.end(),
                       [kind](const OriginalCall& call) { return call.kind == kind; });
  }
  void answer(Kind kind, const absl::StatusOr<OriginalAnswer>& with = OriginalAnswer{}) {
    worker.answered(take_call(kind).id, with, now);
    settle();
  }
  // The worker answers probes by itself from now on.
  void answer_probes() {
    probes_answered = true;
    while (has_call(Kind::kProbe)) answer(Kind::kProbe, absl::UnknownError("job not found"));
  }

  uint64_t start(const std::string& job_id, const std::string& remote_id = "") {
    v1::StartJobsRequest request;
    request.set_session(session);
    auto& attempt = *request.add_attempts();
    *attempt.mutable_key() = key_of(job_id);
    attempt.mutable_spec()->set_command("bash");
    attempt.mutable_spec()->set_path("a.sh");
    worker.start(++last_order, request, {remote_id.empty() ? job_id : remote_id}, now);
    settle();
    return last_order;
  }
  // A jobscheduler worker runs the job under that id.
  void run(const std::string& job_id, const std::string& remote_id) {
    start(job_id, remote_id);
    answer(Kind::kStart, OriginalAnswer{.remote_id = remote_id, .done = false, .error_text = ""});
    REQUIRE(last_event().has_started());
  }
  void stop(const std::string& job_id) {
    v1::StopJobsRequest request;
    *request.add_keys() = key_of(job_id);
    worker.stop(++last_order, request, now);
    settle();
  }
  void acknowledge(const std::string& job_id) {
    v1::SessionResponse message;
    *message.mutable_acknowledged()->add_keys() = key_of(job_id);
    worker.told(message, now);
    settle();
  }
  void heartbeat(OriginalStatus status) {
    worker.heard(status, now);
    settle();
  }

  const v1::JobEvent& last_event() const {
    REQUIRE(!events.empty());
    return events.back();
  }
  const AnswerOrder* order(uint64_t number) const {
    for (const AnswerOrder& one : orders) {
      if (one.order == number) return &one;
    }
    return nullptr;
  }
  Now now{BootTime(1h), WallTime(1000h)};
  OriginalWorker worker;
  std::vector<OriginalCall> calls;
  std::vector<v1::JobEvent> events;
  std::vector<v1::SessionHello> hellos;
  std::vector<AnswerOrder> orders;
  std::vector<std::string> gone;
  std::string occupied;
  int closed = 0;
  int heartbeats_up = 0;
  uint64_t session = 0;
  uint64_t last_order = 0;
  bool open = false;
  bool probes_answered = false;

 private:
  void take(OriginalEffect& effect) {
    if (auto* call = std::get_if<OriginalCall>(&effect)) {
      if (call->kind == Kind::kProbe && probes_answered) {
        return worker.answered(call->id, absl::UnknownError("job not found"), now);
      }
      calls.push_back(std::move(*call));
    } else if (auto* hello = std::get_if<OpenSession>(&effect)) {
      hellos.push_back(std::move(hello->hello));
      open = true;
      v1::SessionResponse message;
      message.mutable_welcome()->set_session(++session);
      worker.told(message, now);
    } else if (std::holds_alternative<CloseSession>(effect)) {
      open = false;
      ++closed;
    } else if (auto* say = std::get_if<SayInSession>(&effect)) {
      CHECK(open);
      CHECK(say->message.epoch() == 7);
      CHECK(say->message.session() == session);
      if (say->message.has_heartbeat()) {
        ++heartbeats_up;
        occupied = say->message.heartbeat().occupied();
      }
      for (const v1::JobEvent& event : say->message.events().events()) events.push_back(event);
    } else if (auto* order = std::get_if<AnswerOrder>(&effect)) {
      CHECK(this->order(order->order) == nullptr);  // answered once
      orders.push_back(std::move(*order));
    } else if (auto* left = std::get_if<WorkerGone>(&effect)) {
      gone.push_back(left->reason);
    }
  }

  int settles_ = 0;
};

v1::HeldAttempt held_attempt(const std::string& job_id, const std::string& remote_id,
                             bool started) {
  v1::HeldAttempt held;
  *held.mutable_key() = key_of(job_id);
  held.set_remote_id(remote_id);
  held.set_started(started);
  return held;
}

}  // namespace

TEST_CASE("a worker that answers is given a session, and is heard while it answers",
          "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  CHECK_FALSE(stage.open);
  CHECK(absl::IsUnavailable(stage.worker.identify(stage.now)));

  stage.answer_probes();
  stage.advance(1min);

  CHECK(stage.open);
  CHECK(stage.worker.identify(stage.now).ok());
  CHECK(stage.hellos.size() == 1);
  CHECK(stage.heartbeats_up >= 12);  // one for each probe interval
}

TEST_CASE("a job is ordered once, and asked for with growing pauses until it ends",
          "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  stage.answer_probes();
  const uint64_t order = stage.start("job-1");

  const OriginalCall start = stage.take_call(Kind::kStart);
  stage.worker.answered(start.id, OriginalAnswer{.remote_id = "r1", .error_text = ""}, stage.now);
  stage.settle();
  int queries = 0;
  for (int second = 0; second < 20; ++second) {
    stage.advance(1s);
    while (stage.has_call(Kind::kQuery)) {
      const OriginalCall query = stage.take_call(Kind::kQuery);
      CHECK(query.remote_id == "r1");
      stage.worker.answered(query.id, OriginalAnswer{.remote_id = "", .error_text = ""}, stage.now);
      ++queries;
    }
  }
  stage.advance(2s);
  stage.answer(
      Kind::kQuery,
      OriginalAnswer{.remote_id = "", .done = true, .error = true, .error_text = "exit status 3"});

  CHECK(start.spec.command() == "bash");
  REQUIRE(stage.order(order) != nullptr);
  CHECK(stage.order(order)->status.ok());
  REQUIRE(stage.order(order)->verdicts.verdicts_size() == 1);
  CHECK(stage.order(order)->verdicts.verdicts(0).refusal().code() == 0);
  CHECK(stage.events.front().started().remote_id() == "r1");
  CHECK(queries >= 8);
  CHECK(queries <= 20);
  CHECK(stage.last_event().ended().exit_code() == 3);
}

TEST_CASE("what the worker refuses is a verdict in its own words", "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  stage.answer_probes();
  const uint64_t order = stage.start("job-1");

  stage.answer(Kind::kStart, absl::UnknownError("exec: \"bash\": not found"));

  REQUIRE(stage.order(order) != nullptr);
  const auto& refusal = stage.order(order)->verdicts.verdicts(0).refusal();
  CHECK(refusal.code() == static_cast<int>(absl::StatusCode::kInvalidArgument));
  CHECK(refusal.message() == "exec: \"bash\": not found");
  CHECK(stage.events.empty());
}

TEST_CASE("an order goes out only after an answer, and is given back where there is none",
          "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  stage.answer(Kind::kProbe, absl::UnknownError("job not found"));
  REQUIRE(stage.open);
  const uint64_t order = stage.start("job-1");
  CHECK_FALSE(stage.has_call(Kind::kStart));

  stage.answer(Kind::kProbe, absl::UnavailableError("connection refused"));

  REQUIRE(stage.order(order) != nullptr);
  CHECK(absl::IsUnavailable(stage.order(order)->status));
  CHECK_FALSE(stage.open);
  CHECK(stage.worker.identify(stage.now).message() == "connection refused");
}

TEST_CASE("an order of which nobody knows whether it arrived is never sent again",
          "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  stage.answer_probes();
  stage.start("job-1");
  stage.answer(Kind::kStart, absl::DeadlineExceededError("too slow"));

  CHECK(stage.last_event().ended().reason() == v1::JobEnd::EXIT_STATUS_UNKNOWN);
  stage.start("job-1");
  CHECK_FALSE(stage.has_call(Kind::kStart));
}

TEST_CASE("a worker that hangs is silent, and one that refuses connections is out of reach",
          "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  stage.answer(Kind::kProbe, absl::UnknownError("job not found"));
  const int heard = stage.heartbeats_up;

  stage.advance(5s);
  stage.answer(Kind::kProbe, absl::DeadlineExceededError("too slow"));
  CHECK(stage.open);  // the scheduler's clock of silence decides
  CHECK(stage.heartbeats_up == heard);
  stage.advance(5s);
  stage.answer(Kind::kProbe, absl::UnavailableError("connection refused"));

  CHECK_FALSE(stage.open);
}

TEST_CASE("a process that does not know the last job is another one", "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  stage.answer_probes();
  stage.run("job-1", "r1");
  stage.advance(1s);
  stage.answer(Kind::kQuery, absl::UnavailableError("connection refused"));
  stage.probes_answered = false;
  CHECK_FALSE(stage.open);

  stage.advance(1s);
  const OriginalCall probe = stage.take_call(Kind::kProbe);
  CHECK(probe.remote_id == "r1");
  stage.worker.answered(probe.id, absl::UnknownError("job not found"), stage.now);
  stage.settle();
  stage.advance(10min);
  CHECK(stage.gone.size() == 1);
  CHECK(stage.hellos.size() == 1);
  CHECK(stage.calls.empty());
}

TEST_CASE("a process that knows the last job is the same one", "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  stage.answer_probes();
  stage.run("job-1", "r1");
  stage.advance(1s);
  stage.answer(Kind::kQuery, absl::UnavailableError("connection reset"));
  stage.probes_answered = false;

  stage.advance(1s);
  stage.answer(Kind::kProbe, OriginalAnswer{});

  CHECK(stage.gone.empty());
  REQUIRE(stage.hellos.size() == 2);
  REQUIRE(stage.hellos.back().inventory_size() == 1);
  CHECK(stage.hellos.back().inventory(0).remote_id() == "r1");
}

TEST_CASE("one that cannot be recognised stays quiet for as long as a newcomer needs to register",
          "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  stage.answer(Kind::kProbe, absl::UnknownError("job not found"));
  stage.advance(5s);
  stage.answer(Kind::kProbe, absl::UnavailableError("connection refused"));
  stage.advance(1s);
  stage.answer(Kind::kProbe, absl::UnknownError("job not found"));

  stage.advance(1900ms);
  CHECK_FALSE(stage.open);
  stage.advance(200ms);

  CHECK(stage.open);
}

TEST_CASE("an address that has not answered for lost_after is not asked again",
          "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  for (int i = 0; i < 200; ++i) {
    if (stage.has_call(Kind::kProbe)) {
      stage.answer(Kind::kProbe, absl::UnavailableError("connection refused"));
    }
    stage.advance(2s);
  }
  stage.calls.clear();
  stage.advance(1h);
  CHECK(stage.calls.empty());
  CHECK(stage.worker.next_deadline() == std::nullopt);
}

TEST_CASE("what answers without knowing the protocol is no worker", "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);

  stage.answer(Kind::kProbe, absl::UnimplementedError("unknown service"));

  CHECK_THAT(std::string(stage.worker.identify(stage.now).message()),
             Catch::Contains("no worker of the protocol jobscheduler"));
}

TEST_CASE("a stop is sent, and how the job ended is asked for at once", "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  stage.answer_probes();
  stage.run("job-1", "r1");

  stage.stop("job-1");
  const OriginalCall stop = stage.take_call(Kind::kStop);
  stage.worker.answered(stop.id, OriginalAnswer{}, stage.now);
  stage.advance(50ms);
  stage.answer(
      Kind::kQuery,
      OriginalAnswer{.remote_id = "", .done = true, .error = true, .error_text = "signal: killed"});

  CHECK(stop.remote_id == "r1");
  CHECK(stage.order(2)->status.ok());
  CHECK(stage.last_event().ended().reason() == v1::JobEnd::STOP_REQUESTED);
  CHECK(stage.last_event().ended().signal() == 9);
}

TEST_CASE("a stop before the order has gone out prevents it", "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  stage.answer(Kind::kProbe, absl::UnknownError("job not found"));
  const uint64_t order = stage.start("job-1");

  stage.stop("job-1");
  stage.answer(Kind::kProbe, absl::UnknownError("job not found"));

  CHECK_FALSE(stage.has_call(Kind::kStart));
  CHECK(stage.order(order) != nullptr);
  CHECK(stage.last_event().ended().reason() == v1::JobEnd::CANCELLED_BEFORE_START);
}

TEST_CASE("a stop while the order is on its way follows it", "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  stage.answer_probes();
  stage.start("job-1");

  stage.stop("job-1");
  CHECK_FALSE(stage.has_call(Kind::kStop));
  stage.answer(Kind::kStart, OriginalAnswer{.remote_id = "r1", .error_text = ""});

  CHECK(stage.take_call(Kind::kStop).remote_id == "r1");
}

TEST_CASE("an end is told in the next session too, until it is acknowledged", "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  stage.answer_probes();
  stage.run("job-1", "r1");
  stage.advance(200ms);
  stage.answer(Kind::kQuery, OriginalAnswer{.remote_id = "", .done = true, .error_text = ""});
  stage.worker.session_closed(stage.now);
  stage.advance(1s);
  REQUIRE(stage.hellos.back().inventory_size() == 1);
  CHECK(stage.hellos.back().inventory(0).end().exit_code() == 0);

  stage.acknowledge("job-1");
  stage.worker.session_closed(stage.now);
  stage.advance(1s);
  CHECK(stage.hellos.back().inventory_size() == 0);
}

TEST_CASE("after a restart of the scheduler the jobs are asked for by the worker's ids",
          "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER, {held_attempt("job-1", "r1", true)}, true);

  const OriginalCall probe = stage.take_call(Kind::kProbe);
  CHECK(probe.remote_id == "r1");
  stage.worker.answered(probe.id, OriginalAnswer{}, stage.now);
  stage.settle();

  CHECK(stage.take_call(Kind::kQuery).remote_id == "r1");
  REQUIRE(stage.hellos.size() == 1);
  CHECK(stage.hellos[0].inventory_size() == 1);
  CHECK(stage.hellos[0].identity().journal_id() == "epoch 7");
}

TEST_CASE("attempts that are not the worker's any more are stopped and not told of",
          "[original_worker]") {
  Stage stage(v1::Worker::JOBSCHEDULER);
  stage.answer_probes();
  stage.run("job-1", "r1");
  const size_t told = stage.events.size();
  v1::SessionResponse message;
  *message.mutable_fenced()->add_keys() = key_of("job-1");

  stage.worker.told(message, stage.now);
  stage.settle();
  stage.answer(Kind::kStop, OriginalAnswer{});
  stage.advance(100ms);
  stage.answer(
      Kind::kQuery,
      OriginalAnswer{.remote_id = "", .done = true, .error = true, .error_text = "signal: killed"});

  CHECK(stage.events.size() == told);
}

TEST_CASE("a go-work worker is given work only after its first heartbeat", "[original_worker]") {
  Stage stage(v1::Worker::GO_WORK);
  stage.answer_probes();
  stage.advance(5s);
  CHECK_FALSE(stage.open);
  CHECK(stage.worker.member_status(stage.now) == "unknown, unknown");

  stage.heartbeat(OriginalStatus::kIdle);

  CHECK(stage.open);
  CHECK(stage.worker.member_status(stage.now) == "alive, idle");
}

TEST_CASE("a go-work worker does not flicker in ten minutes of heartbeats", "[original_worker]") {
  Stage stage(v1::Worker::GO_WORK);
  stage.answer_probes();
  stage.heartbeat(OriginalStatus::kIdle);
  REQUIRE(stage.open);

  for (int i = 0; i < 40; ++i) {
    // Every 15 s, up to a second early; every tenth is lost on its way.
    stage.advance(15s - (i % 3) * 500ms);
    CHECK(stage.worker.member_status(stage.now).starts_with("alive"));
    if (i % 10 != 9) stage.heartbeat(i % 2 == 0 ? OriginalStatus::kBusy : OriginalStatus::kIdle);
  }

  CHECK(stage.closed == 0);
  CHECK(stage.hellos.size() == 1);
}

TEST_CASE("a go-work worker whose heartbeats stop has left, whatever answers at its address",
          "[original_worker]") {
  Stage stage(v1::Worker::GO_WORK);
  stage.answer_probes();
  stage.heartbeat(OriginalStatus::kIdle);

  stage.advance(31s);

  CHECK_FALSE(stage.open);
  CHECK(stage.worker.member_status(stage.now) == "left, unknown");
  CHECK(absl::IsUnavailable(stage.worker.identify(stage.now)));
  stage.heartbeat(OriginalStatus::kIdle);
  stage.advance(1s);
  CHECK(stage.open);
}

TEST_CASE("a task is started under its submitter's id and stopped by it", "[original_worker]") {
  Stage stage(v1::Worker::GO_WORK);
  stage.answer_probes();
  stage.heartbeat(OriginalStatus::kIdle);
  stage.start("job-1", "task-1");
  const OriginalCall start = stage.take_call(Kind::kStart);
  stage.worker.answered(start.id, OriginalAnswer{.remote_id = start.remote_id, .error_text = ""},
                        stage.now);
  stage.settle();
  stage.stop("job-1");

  const OriginalCall stop = stage.take_call(Kind::kStop);
  stage.worker.answered(stop.id, OriginalAnswer{}, stage.now);
  stage.settle();

  CHECK(start.remote_id == "task-1");
  CHECK(stop.remote_id == "task-1");
  CHECK(stage.last_event().ended().reason() == v1::JobEnd::STOP_REQUESTED);
  CHECK_FALSE(stage.has_call(Kind::kQuery));
}

TEST_CASE("nothing is started while a stop is under way", "[original_worker]") {
  Stage stage(v1::Worker::GO_WORK);
  stage.answer_probes();
  stage.heartbeat(OriginalStatus::kIdle);
  stage.run("job-1", "task-1");
  stage.stop("job-1");

  stage.start("job-2", "task-2");
  CHECK_FALSE(stage.has_call(Kind::kStart));
  stage.answer(Kind::kStop, OriginalAnswer{});

  CHECK(stage.take_call(Kind::kStart).remote_id == "task-2");
}

TEST_CASE("a worker that is busy gives the order back, and is asked to put down what it finished",
          "[original_worker]") {
  Stage stage(v1::Worker::GO_WORK);
  stage.answer_probes();
  stage.heartbeat(OriginalStatus::kIdle);
  stage.run("job-1", "task-1");
  stage.worker.forget(key_of("job-1"));  // TaskComplete has told of its end
  const uint64_t order = stage.start("job-2", "task-2");

  stage.answer(Kind::kStart, absl::AlreadyExistsError("Already working"));

  CHECK(absl::IsUnavailable(stage.order(order)->status));
  CHECK(stage.take_call(Kind::kStop).remote_id == "task-1");
}

TEST_CASE("heartbeats tell what became of an order that was not answered", "[original_worker]") {
  Stage stage(v1::Worker::GO_WORK);
  stage.answer_probes();
  stage.heartbeat(OriginalStatus::kIdle);
  stage.start("job-1", "task-1");
  stage.answer(Kind::kStart, absl::DeadlineExceededError("too slow"));
  CHECK(stage.events.empty());

  SECTION("busy: it runs") {
    stage.heartbeat(OriginalStatus::kBusy);
    CHECK(stage.last_event().started().remote_id() == "task-1");
  }
  SECTION("idle, and idle again: nobody will ever know") {
    stage.heartbeat(OriginalStatus::kIdle);
    CHECK(stage.events.empty());
    stage.heartbeat(OriginalStatus::kIdle);
    CHECK(stage.last_event().ended().reason() == v1::JobEnd::EXIT_STATUS_UNKNOWN);
  }
}

TEST_CASE("a task does not stay running on a worker that is idle", "[original_worker]") {
  Stage stage(v1::Worker::GO_WORK);
  stage.answer_probes();
  stage.heartbeat(OriginalStatus::kIdle);
  stage.run("job-1", "task-1");

  stage.heartbeat(OriginalStatus::kIdle);
  stage.heartbeat(OriginalStatus::kBusy);
  stage.heartbeat(OriginalStatus::kIdle);
  CHECK(stage.last_event().has_started());
  stage.heartbeat(OriginalStatus::kIdle);

  CHECK(stage.last_event().ended().reason() == v1::JobEnd::EXIT_STATUS_UNKNOWN);
}

TEST_CASE("one that works for somebody else, or has failed, takes nothing", "[original_worker]") {
  Stage stage(v1::Worker::GO_WORK);
  stage.answer_probes();

  stage.heartbeat(OriginalStatus::kBusy);
  CHECK_FALSE(stage.occupied.empty());
  stage.heartbeat(OriginalStatus::kIdle);
  CHECK(stage.occupied.empty());
  stage.heartbeat(OriginalStatus::kFailed);
  CHECK(stage.occupied == "says that it has failed");
}
