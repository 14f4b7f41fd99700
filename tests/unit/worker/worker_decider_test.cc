#include "worker/worker_decider.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "core/field_error.h"
#include "support/fake_launcher.h"

namespace clusterd {
namespace {

using std::chrono::seconds;

constexpr uint64_t kEpoch = 3;
constexpr uint64_t kSession = 7;

v1::AttemptKey key_of(const std::string& job_id, uint32_t attempt = 1) {
  v1::AttemptKey key;
  key.set_job_id(job_id);
  key.set_attempt(attempt);
  return key;
}

// A decider with a launcher and the scheduler's end of the session, in virtual time.
class Bench {
 public:
  explicit Bench(bool open = true)
      : decider([](const v1::AttemptKey& key) {
          return "/data/" + key.job_id() + "/" + std::to_string(key.attempt());
        }) {
    decider.on_launcher_connected(launcher.hello(), now());
    if (open) reopen(kEpoch, kSession);
  }

  // Every effect leaves a trace that the test looks at: none is lost.
  ~Bench() { CHECK(decider.take_effects().empty()); }

  Now now() const { return {BootTime(at), WallTime(at)}; }

  std::vector<v1::HeldAttempt> reopen(uint64_t epoch, uint64_t session) {
    decider.on_session_closed();
    auto inventory = decider.on_session_opening(epoch);
    decider.on_session_opened(epoch, session, now());
    run();
    return inventory;
  }

  CallId start(const std::vector<std::string>& jobs, uint64_t epoch = kEpoch,
               uint64_t session = kSession, uint32_t attempt = 1) {
    v1::StartJobsRequest request;
    request.set_epoch(epoch);
    request.set_session(session);
    for (const std::string& job : jobs) {
      *request.add_attempts()->mutable_key() = key_of(job, attempt);
    }
    decider.on_start(++last_call, request, now());
    run();
    return last_call;
  }

  CallId stop(const std::string& job, uint64_t epoch = kEpoch, uint64_t session = kSession) {
    v1::StopJobsRequest request;
    request.set_epoch(epoch);
    request.set_session(session);
    *request.add_keys() = key_of(job);
    decider.on_stop(++last_call, request, now());
    run();
    return last_call;
  }

  CallId signal(const std::string& job, int number) {
    v1::SignalAttemptRequest request;
    request.set_epoch(kEpoch);
    request.set_session(kSession);
    *request.mutable_key() = key_of(job);
    request.set_signal(number);
    decider.on_signal(++last_call, request, now());
    run();
    return last_call;
  }

  void acknowledge(const std::string& job) {
    decider.on_acknowledged({key_of(job)}, now());
    run();
  }

  void pass_checks() {
    for (const CheckStart& check : std::exchange(checks, {})) {
      internal::LaunchPlan plan;
      *plan.mutable_key() = check.attempt.key();
      decider.on_checked(check.check, plan, now());
    }
    run();
  }

  void refuse_checks(const absl::Status& status) {
    for (const CheckStart& check : std::exchange(checks, {})) {
      decider.on_checked(check.check, status, now());
    }
    run();
  }

  void keep_ends() {
    for (const KeepEnd& keep : std::exchange(kept, {})) {
      decider.on_end_kept(keep.attempt.key(), now());
    }
    run();
  }

  void lose_launcher() {
    launcher.set_connected(false);
    decider.on_launcher_disconnected();
  }

  void find_launcher() {
    launcher.set_connected(true);
    decider.on_launcher_connected(launcher.hello(), now());
    run();
  }

  // Carries out effects and brings the launcher's news until nothing happens any more.
  void run() {
    while (true) {
      const std::vector<WorkerEffect> effects = decider.take_effects();
      for (const WorkerEffect& effect : effects) carry_out(effect);
      const internal::FromLauncher news = launcher.take_news();
      if (effects.empty() && news.ByteSizeLong() == 0) return;
      decider.on_launcher_message(news, now());
    }
  }

  void carry_out(const WorkerEffect& effect) {
    if (const auto* check = std::get_if<CheckStart>(&effect)) checks.push_back(*check);
    if (const auto* orders = std::get_if<SendOrders>(&effect)) launcher.send(orders->orders);
    if (const auto* keep = std::get_if<KeepEnd>(&effect)) kept.push_back(*keep);
    if (const auto* wake = std::get_if<WakeReaders>(&effect)) ++woken[wake->id.job_id];
    if (const auto* reply = std::get_if<CallReply>(&effect)) {
      CHECK(replies.emplace(reply->call, *reply).second);  // one answer to each call
    }
    if (const auto* message = std::get_if<SendEvents>(&effect)) {
      ++event_messages;
      for (const v1::JobEvent& event : message->events.events()) events.push_back(event);
    }
  }

  const v1::JobEvent* event_of(const std::string& job, v1::JobEvent::EventCase kind) const {
    for (const v1::JobEvent& event : events) {
      if (event.key().job_id() == job && event.event_case() == kind) return &event;
    }
    return nullptr;
  }

  FakeLauncher launcher;
  WorkerDecider decider;
  std::chrono::nanoseconds at = seconds(100);
  CallId last_call = 0;
  std::vector<CheckStart> checks;
  std::vector<KeepEnd> kept;
  std::map<CallId, CallReply> replies;
  std::vector<v1::JobEvent> events;
  std::map<std::string, int> woken;
  int event_messages = 0;
};

}  // namespace

TEST_CASE("a start is checked, launched, answered and reported", "[worker_decider]") {
  Bench bench;

  const CallId call = bench.start({"a"});
  CHECK(bench.replies.empty());
  bench.pass_checks();

  CHECK(bench.launcher.launches("a") == 1);
  REQUIRE(bench.replies.at(call).status.ok());
  REQUIRE(bench.replies.at(call).start.verdicts_size() == 1);
  CHECK(bench.replies.at(call).start.verdicts(0).refusal().code() == 0);
  const v1::JobEvent* started = bench.event_of("a", v1::JobEvent::kStarted);
  REQUIRE(started != nullptr);
  CHECK(started->started().output_path() == "/data/a/1");
  CHECK(bench.decider.query(key_of("a"))->started());
  CHECK(bench.decider.live() == 1);
}

TEST_CASE("a refused start leaves nothing and its verdict names the field", "[worker_decider]") {
  Bench bench;

  const CallId call = bench.start({"a"});
  bench.refuse_checks(invalid_field("path", "\"x\" does not exist"));

  const auto& verdict = bench.replies.at(call).start.verdicts(0);
  CHECK(field_of(from_proto(verdict.refusal())) == "path");
  CHECK(bench.event_of("a", v1::JobEvent::kRefused) != nullptr);
  CHECK(bench.decider.held() == 0);
  CHECK(bench.launcher.launches("a") == 0);
}

TEST_CASE("verdicts of a batch come together and in the order of the request", "[worker_decider]") {
  Bench bench;

  const CallId call = bench.start({"c", "a", "b"});
  REQUIRE(bench.checks.size() == 3);
  const auto checks = std::exchange(bench.checks, {});
  bench.decider.on_checked(checks[2].check, invalid_field("cwd", "gone"), bench.now());
  bench.decider.on_checked(checks[0].check, internal::LaunchPlan(), bench.now());
  bench.run();
  CHECK(bench.replies.empty());
  internal::LaunchPlan plan;
  *plan.mutable_key() = key_of("a");
  bench.decider.on_checked(checks[1].check, plan, bench.now());
  bench.run();

  const auto& verdicts = bench.replies.at(call).start.verdicts();
  REQUIRE(verdicts.size() == 3);
  CHECK(verdicts[0].key().job_id() == "c");
  CHECK(verdicts[1].key().job_id() == "a");
  CHECK(verdicts[2].key().job_id() == "b");
  CHECK(verdicts[2].refusal().code() == 3);
  CHECK(verdicts[1].refusal().code() == 0);
}

TEST_CASE("a command of another session or a lower epoch is refused, naming both",
          "[worker_decider]") {
  Bench bench;
  const auto refused = [&bench](CallId call, const std::string& text) {
    const CallReply& reply = bench.replies.at(call);
    CHECK(reply.status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK_THAT(std::string(reply.status.message()), Catch::Contains(text));
  };

  refused(bench.start({"a"}, kEpoch, kSession - 1), "session 6 of epoch 3");
  refused(bench.start({"a"}, kEpoch, kSession - 1), "session 7 of epoch 3 is current");
  refused(bench.start({"a"}, kEpoch - 1, kSession), "session 7 of epoch 2");
  refused(bench.start({"a"}, kEpoch + 1, kSession), "session 7 of epoch 4");
  refused(bench.stop("a", kEpoch, kSession + 1), "session 8 of epoch 3");
  bench.decider.on_session_closed();
  refused(bench.start({"a"}), "no session, the highest epoch seen is 3");
  CHECK(bench.checks.empty());
  CHECK(bench.decider.held() == 0);
}

TEST_CASE("a start that overtakes the welcome waits for it", "[worker_decider]") {
  Bench bench(/*open=*/false);
  (void)bench.decider.on_session_opening(kEpoch);

  const CallId current = bench.start({"a"});
  const CallId other = bench.start({"b"}, kEpoch, kSession + 1);
  CHECK(bench.replies.empty());
  bench.decider.on_session_opened(kEpoch, kSession, bench.now());
  bench.run();
  bench.pass_checks();

  CHECK(bench.replies.at(current).status.ok());
  CHECK(bench.replies.at(other).status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(bench.launcher.launches("a") == 1);
}

TEST_CASE("a start repeated at any time starts nothing again", "[worker_decider]") {
  Bench bench;

  const CallId first = bench.start({"a"});
  const CallId while_checking = bench.start({"a"});
  CHECK(bench.checks.size() == 1);
  bench.pass_checks();
  const CallId while_running = bench.start({"a"});
  bench.launcher.exit("a", 0);
  bench.run();
  const CallId after_the_end = bench.start({"a"});
  bench.acknowledge("a");
  const CallId after_the_acknowledgement = bench.start({"a"});

  for (const CallId call :
       {first, while_checking, while_running, after_the_end, after_the_acknowledgement}) {
    REQUIRE(bench.replies.at(call).status.ok());
    CHECK(bench.replies.at(call).start.verdicts(0).refusal().code() == 0);
  }
  CHECK(bench.checks.empty());
  CHECK(bench.launcher.launches("a") == 1);
  CHECK(bench.decider.held() == 0);
}

TEST_CASE("what a later session asks for is meant, though it was forgotten", "[worker_decider]") {
  Bench bench;
  bench.start({"a", "b"});
  bench.pass_checks();
  bench.launcher.exit("a", 0);
  bench.launcher.exit("b", 3);
  bench.run();
  bench.acknowledge("a");
  bench.acknowledge("b");
  bench.events.clear();

  // A scheduler with an older copy of its store.
  bench.reopen(kEpoch + 1, kSession);
  const CallId again = bench.start({"a", "b"}, kEpoch + 1, kSession);
  REQUIRE(bench.checks.size() == 2);
  const CheckStart first = bench.checks[0];
  bench.checks.erase(bench.checks.begin());

  SECTION("its end, where that is kept, is told again") {
    v1::HeldAttempt kept;
    *kept.mutable_key() = first.attempt.key();
    kept.set_started(true);
    kept.mutable_end()->set_reason(v1::JobEnd::EXITED);
    kept.mutable_end()->set_exit_code(37);
    bench.decider.on_ended_before(first.check, kept);
    bench.pass_checks();
    bench.run();

    CHECK(bench.launcher.launches("a") == 1);
    CHECK(bench.launcher.launches("b") == 2);
    REQUIRE(bench.event_of("a", v1::JobEvent::kEnded) != nullptr);
    CHECK(bench.event_of("a", v1::JobEvent::kEnded)->ended().exit_code() == 37);
    REQUIRE(bench.replies.contains(again));
    CHECK(bench.replies.at(again).status.ok());
    bench.acknowledge("a");
    CHECK(bench.decider.held() == 1);
  }
  SECTION("a check whose session is over changes nothing") {
    bench.reopen(kEpoch + 2, kSession);
    bench.decider.on_ended_before(first.check, v1::HeldAttempt());
    bench.run();
    CHECK(bench.decider.held() == 0);
    bench.checks.clear();
  }
}

TEST_CASE("what was forgotten is remembered for a minute only", "[worker_decider]") {
  Bench bench;
  bench.start({"a"});
  bench.pass_checks();
  bench.launcher.exit("a", 0);
  bench.run();
  bench.acknowledge("a");
  REQUIRE(bench.decider.next_deadline() == BootTime(seconds(160)));

  bench.at = seconds(160);
  bench.decider.on_tick(bench.now());

  CHECK_FALSE(bench.decider.next_deadline());
}

TEST_CASE("an end stays until it is acknowledged and its lengths are kept", "[worker_decider]") {
  Bench bench;
  bench.start({"a"});
  bench.pass_checks();

  bench.launcher.exit("a", 37, /*output_bytes=*/12);
  bench.run();
  REQUIRE(bench.event_of("a", v1::JobEvent::kEnded) != nullptr);
  CHECK(bench.event_of("a", v1::JobEvent::kEnded)->ended().exit_code() == 37);
  REQUIRE(bench.kept.size() == 1);
  CHECK(bench.kept[0].attempt.end().outputs(0).total_bytes() == 12);

  bench.acknowledge("a");
  CHECK(bench.decider.held() == 1);  // a reader would find neither it nor its lengths
  CHECK(bench.launcher.holds("a"));
  bench.keep_ends();
  CHECK(bench.decider.held() == 0);
  CHECK_FALSE(bench.launcher.holds("a"));
}

TEST_CASE("an acknowledgement of what has not ended changes nothing", "[worker_decider]") {
  Bench bench;
  bench.start({"a"});
  bench.pass_checks();

  bench.acknowledge("a");
  bench.acknowledge("unknown");

  CHECK(bench.decider.held() == 1);
  CHECK(bench.launcher.holds("a"));
}

TEST_CASE("a stop of a running attempt reaches the launcher, and its end is reported",
          "[worker_decider]") {
  Bench bench;
  bench.start({"a"});
  bench.pass_checks();

  const CallId call = bench.stop("a");

  CHECK(bench.replies.at(call).status.ok());
  REQUIRE(bench.event_of("a", v1::JobEvent::kEnded) != nullptr);
  CHECK(bench.event_of("a", v1::JobEvent::kEnded)->ended().reason() == v1::JobEnd::STOP_REQUESTED);
}

TEST_CASE("a stop that comes before the start prevents it for good", "[worker_decider]") {
  Bench bench;

  bench.stop("a");
  REQUIRE(bench.event_of("a", v1::JobEvent::kEnded) != nullptr);
  CHECK(bench.event_of("a", v1::JobEvent::kEnded)->ended().reason() ==
        v1::JobEnd::CANCELLED_BEFORE_START);
  const CallId late = bench.start({"a"});
  CHECK(bench.replies.at(late).start.verdicts(0).refusal().code() == 0);
  bench.acknowledge("a");
  bench.start({"a"});

  CHECK(bench.checks.empty());
  CHECK(bench.launcher.launches("a") == 0);
  CHECK(bench.decider.held() == 0);
}

TEST_CASE("a stop during the check prevents the start", "[worker_decider]") {
  Bench bench;
  const CallId start = bench.start({"a"});

  bench.stop("a");
  CHECK(bench.replies.at(start).status.ok());
  bench.pass_checks();

  CHECK(bench.launcher.launches("a") == 0);
  CHECK(bench.event_of("a", v1::JobEvent::kEnded)->ended().reason() ==
        v1::JobEnd::CANCELLED_BEFORE_START);
}

TEST_CASE("a session that closes takes unlaunched starts with it", "[worker_decider]") {
  Bench bench;
  const CallId call = bench.start({"a"});

  const auto inventory = bench.reopen(kEpoch, kSession + 1);
  bench.pass_checks();

  CHECK(inventory.empty());
  CHECK(bench.replies.at(call).status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(bench.launcher.launches("a") == 0);
  bench.start({"a"}, kEpoch, kSession + 1);
  bench.pass_checks();
  CHECK(bench.launcher.launches("a") == 1);
}

TEST_CASE("the inventory holds what runs and every end that is not acknowledged",
          "[worker_decider]") {
  Bench bench;
  bench.start({"runs", "ended", "acknowledged"});
  bench.pass_checks();
  bench.launcher.exit("acknowledged", 0);
  bench.run();
  bench.acknowledge("acknowledged");
  bench.decider.on_session_closed();
  bench.launcher.exit("ended", 1);
  bench.run();
  const size_t events_before = bench.events.size();

  std::map<std::string, v1::HeldAttempt> inventory;
  for (const auto& held : bench.reopen(kEpoch + 1, 1)) inventory[held.key().job_id()] = held;

  REQUIRE(inventory.size() == 2);
  CHECK(inventory["runs"].started());
  CHECK_FALSE(inventory["runs"].has_end());
  CHECK(inventory["runs"].output_path() == "/data/runs/1");
  CHECK(inventory["ended"].end().exit_code() == 1);
  CHECK(bench.events.size() == events_before);  // the inventory has said it
}

TEST_CASE("what happens between hello and welcome is told after the welcome", "[worker_decider]") {
  Bench bench;
  bench.start({"a"});
  bench.pass_checks();
  bench.decider.on_session_closed();
  (void)bench.decider.on_session_opening(kEpoch);

  bench.launcher.exit("a", 5);
  bench.run();
  CHECK(bench.event_of("a", v1::JobEvent::kEnded) == nullptr);
  bench.decider.on_session_opened(kEpoch, kSession + 1, bench.now());
  bench.run();

  CHECK(bench.event_of("a", v1::JobEvent::kEnded) != nullptr);
}

TEST_CASE("a fenced attempt is killed without a report and never starts again",
          "[worker_decider]") {
  Bench bench;
  bench.start({"runs"});
  bench.pass_checks();
  const CallId checking = bench.start({"checked"});

  bench.decider.on_fenced({key_of("runs"), key_of("checked")});
  bench.run();
  bench.pass_checks();

  CHECK_FALSE(bench.launcher.holds("runs"));
  CHECK(bench.launcher.launches("checked") == 0);
  CHECK(bench.event_of("runs", v1::JobEvent::kEnded) == nullptr);
  CHECK(bench.replies.at(checking).start.verdicts(0).refusal().code() ==
        static_cast<int>(absl::StatusCode::kAborted));
  const CallId again = bench.start({"runs"});
  CHECK(bench.replies.at(again).start.verdicts(0).refusal().code() ==
        static_cast<int>(absl::StatusCode::kAborted));
  CHECK(bench.decider.held() == 0);
}

TEST_CASE("a fence given while the launcher is away reaches the next one", "[worker_decider]") {
  Bench bench;
  bench.start({"a"});
  bench.pass_checks();
  bench.lose_launcher();

  bench.decider.on_fenced({key_of("a")});
  bench.run();
  CHECK(bench.launcher.holds("a"));
  bench.find_launcher();

  CHECK_FALSE(bench.launcher.holds("a"));
  CHECK(bench.decider.held() == 0);
}

TEST_CASE("orders lost with a launcher are given again", "[worker_decider]") {
  Bench bench;
  bench.start({"stopped"});
  bench.pass_checks();
  const CallId starting = bench.start({"started", "cancelled"});
  bench.lose_launcher();
  bench.pass_checks();
  CHECK(bench.replies.at(starting).status.ok());
  bench.stop("stopped");
  bench.stop("cancelled");

  bench.find_launcher();

  CHECK(bench.launcher.launches("started") == 1);
  CHECK(bench.launcher.launches("cancelled") == 0);
  CHECK(bench.event_of("cancelled", v1::JobEvent::kEnded)->ended().reason() ==
        v1::JobEnd::CANCELLED_BEFORE_START);
  CHECK(bench.event_of("stopped", v1::JobEvent::kEnded)->ended().reason() ==
        v1::JobEnd::STOP_REQUESTED);
}

TEST_CASE("a launch that came after the launcher's hello is stopped all the same",
          "[worker_decider]") {
  Bench bench;
  bench.start({"a"});
  const internal::LauncherHello stale = bench.launcher.hello();
  internal::LaunchPlan plan;
  *plan.mutable_key() = key_of("a");
  bench.decider.on_checked(bench.checks[0].check, plan, bench.now());
  bench.checks.clear();
  for (const WorkerEffect& effect : bench.decider.take_effects()) bench.carry_out(effect);
  REQUIRE(bench.launcher.launches("a") == 1);
  v1::StopJobsRequest stop;
  stop.set_epoch(kEpoch);
  stop.set_session(kSession);
  *stop.add_keys() = key_of("a");
  bench.decider.on_stop(++bench.last_call, stop, bench.now());

  bench.decider.on_launcher_disconnected();  // the stop is lost
  bench.decider.on_launcher_connected(stale, bench.now());
  bench.run();

  CHECK(bench.event_of("a", v1::JobEvent::kEnded)->ended().reason() ==
        v1::JobEnd::CANCELLED_BEFORE_START);
  CHECK(bench.launcher.hello().attempts(0).has_end());
  bench.acknowledge("a");
  CHECK_FALSE(bench.launcher.holds("a"));
}

TEST_CASE("an attempt that the launcher lost ends with an unknown status", "[worker_decider]") {
  Bench bench;
  bench.start({"a"});
  bench.pass_checks();
  bench.lose_launcher();
  bench.launcher.lose_everything();

  bench.find_launcher();

  const v1::JobEvent* ended = bench.event_of("a", v1::JobEvent::kEnded);
  REQUIRE(ended != nullptr);
  CHECK(ended->ended().reason() == v1::JobEnd::EXIT_STATUS_UNKNOWN);
  CHECK_FALSE(ended->ended().has_exit_code());
  CHECK_THAT(ended->ended().message(), Catch::Contains("pipe (up to 1 MiB) is gone"));
}

TEST_CASE("a new worker process adopts what the launcher holds", "[worker_decider]") {
  Bench before;
  before.start({"runs", "ended"});
  before.pass_checks();
  before.launcher.exit("ended", 9);
  before.run();
  Bench bench(/*open=*/false);
  bench.launcher = before.launcher;
  bench.find_launcher();

  const auto inventory = bench.reopen(kEpoch, kSession + 1);

  CHECK(inventory.size() == 2);
  CHECK(bench.decider.query(key_of("ended"))->end().exit_code() == 9);
  const CallId again = bench.start({"runs", "ended"}, kEpoch, kSession + 1);
  CHECK(bench.replies.at(again).status.ok());
  CHECK(bench.checks.empty());
}

TEST_CASE("a forget that was lost is repeated without a second report", "[worker_decider]") {
  Bench bench;
  bench.start({"a"});
  bench.pass_checks();
  bench.launcher.exit("a", 0);
  bench.run();
  bench.lose_launcher();
  bench.acknowledge("a");
  CHECK(bench.launcher.holds("a"));
  const size_t events_before = bench.events.size();

  bench.find_launcher();

  CHECK_FALSE(bench.launcher.holds("a"));
  CHECK(bench.events.size() == events_before);
}

TEST_CASE("signals go to running attempts only", "[worker_decider]") {
  Bench bench;
  bench.start({"runs", "ended"});
  bench.pass_checks();
  bench.launcher.exit("ended", 0);
  bench.run();

  CHECK(bench.replies.at(bench.signal("runs", 10)).status.ok());
  CHECK(absl::IsNotFound(bench.replies.at(bench.signal("unknown", 10)).status));
  CHECK(absl::IsFailedPrecondition(bench.replies.at(bench.signal("ended", 10)).status));
  REQUIRE(bench.launcher.signals().size() == 1);
  CHECK(bench.launcher.signals()[0].signal() == 10);
  bench.lose_launcher();
  CHECK(absl::IsUnavailable(bench.replies.at(bench.signal("runs", 10)).status));
}

TEST_CASE("events of one turn travel together, at most 1,000 in a message", "[worker_decider]") {
  Bench bench;
  std::vector<std::string> jobs;
  for (int i = 0; i < 1500; ++i) jobs.push_back("job" + std::to_string(i));

  bench.start(jobs);
  bench.pass_checks();

  CHECK(bench.events.size() == 1500);
  CHECK(bench.event_messages == 2);
  CHECK(bench.launcher.messages() <= 3);
}

TEST_CASE("growth and ends wake readers, and lengths are known", "[worker_decider]") {
  Bench bench;
  bench.start({"a"});
  bench.pass_checks();

  bench.launcher.grow("a", 100);
  bench.run();
  CHECK(bench.woken["a"] == 2);  // the first was the launch
  CHECK(bench.decider.query(key_of("a"))->outputs(0).total_bytes() == 100);
  bench.launcher.exit("a", 0, 120);
  bench.run();

  CHECK(bench.woken["a"] == 3);
  CHECK(bench.decider.query(key_of("a"))->outputs(0).total_bytes() == 120);
  bench.kept.clear();
}

TEST_CASE("suspension is reported once for each change", "[worker_decider]") {
  Bench bench;
  bench.start({"a"});
  bench.pass_checks();

  bench.launcher.suspend("a", true);
  bench.run();
  bench.launcher.suspend("a", true);
  bench.run();

  CHECK(std::count_if(bench.events.begin(), bench.events.end(), [](const v1::JobEvent& event) {
          return event.event_case() == v1::JobEvent::kSuspended;
        }) == 1);
}

TEST_CASE("the scheduler's contact is relayed to the launcher and to the next one",
          "[worker_decider]") {
  Bench bench;
  bench.at = seconds(200);
  bench.decider.on_contact(bench.now().boot);
  bench.run();
  CHECK(bench.launcher.contact_ns() == 200'000'000'000);

  bench.lose_launcher();
  bench.at = seconds(300);
  bench.decider.on_contact(bench.now().boot);
  bench.find_launcher();

  CHECK(bench.launcher.contact_ns() == 300'000'000'000);
}

TEST_CASE("a worker that goes can take its jobs along", "[worker_decider]") {
  Bench bench;
  bench.start({"a", "b"});
  bench.pass_checks();
  bench.start({"c"});

  bench.decider.stop_all(bench.now());
  bench.run();

  CHECK(bench.decider.live() == 0);
  CHECK(bench.decider.held() == 3);  // until their ends are acknowledged
  bench.start({"late"});
  CHECK(bench.decider.held() == 3);  // nothing would stop it any more
}

TEST_CASE("progress of what runs is told, and again in the next session", "[worker_decider]") {
  Bench bench;
  bench.start({"a"});
  bench.pass_checks();
  v1::Progress progress;
  progress.set_done(3);
  bench.decider.on_progress(key_of("unknown"), progress, bench.now());
  bench.decider.on_progress(key_of("a"), progress, bench.now());
  bench.run();

  REQUIRE(bench.event_of("a", v1::JobEvent::kProgress) != nullptr);
  CHECK(bench.event_of("a", v1::JobEvent::kProgress)->progress().done() == 3);
  CHECK(bench.event_of("unknown", v1::JobEvent::kProgress) == nullptr);

  bench.events.clear();
  bench.reopen(kEpoch, kSession + 1);

  REQUIRE(bench.event_of("a", v1::JobEvent::kProgress) != nullptr);
  CHECK(bench.event_of("a", v1::JobEvent::kProgress)->progress().done() == 3);
}

}  // namespace clusterd
