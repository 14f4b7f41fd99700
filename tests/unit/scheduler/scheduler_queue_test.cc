#include <catch2/catch.hpp>

#include "core/field_error.h"
#include "core/proto_time.h"
#include "scheduler/look_up.h"
#include "support/cluster_of_fakes.h"

namespace clusterd {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

v1::JobSpec with_priority(int32_t priority, uint32_t slots = 1) {
  v1::JobSpec spec = spec_for("", slots);
  spec.set_priority(priority);
  return spec;
}

v1::JobSpec retrying(v1::RetryPolicy::On on, uint32_t attempts = 3) {
  v1::JobSpec spec = spec_for();
  spec.mutable_retry()->set_max_attempts(attempts);
  spec.mutable_retry()->add_on(on);
  *spec.mutable_retry()->mutable_backoff() = to_proto(1s);
  return spec;
}

std::vector<std::string> started(const ClusterOfFakes& cluster) {
  std::vector<std::string> ids;
  for (const Dispatch& order : cluster.dispatched) ids.push_back(order.attempt.key().job_id());
  return ids;
}

TEST_CASE("an array whose last waiting tasks were stopped one by one waits no more", "[queue]") {
  ClusterOfFakes cluster;
  v1::JobSpec spec = spec_for();
  spec.mutable_array()->set_from(1);
  spec.mutable_array()->set_to(2);
  cluster.submit(spec);
  cluster.stop("job-1.1");
  cluster.stop("job-1.2");
  cluster.join("w", 1);

  CHECK(cluster.dispatched.empty());
  CHECK(cluster.query("job-1").state() == v1::Job::FAILED);
}

TEST_CASE("a higher priority goes first, then the earlier", "[queue]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for());
  cluster.submit(with_priority(0));
  cluster.submit(with_priority(5));
  cluster.submit(with_priority(5));

  for (const char* id : {"job-1", "job-3", "job-4"}) {
    cluster.say_started(worker, id);
    cluster.say_ended(worker, id, 0);
  }

  CHECK(started(cluster) == std::vector<std::string>{"job-1", "job-3", "job-4", "job-2"});
}

TEST_CASE("small jobs do not starve a large one that came before them", "[queue]") {
  ClusterOfFakes cluster;
  const std::string one = cluster.join("one", 2);
  const std::string two = cluster.join("two", 2);
  for (int i = 0; i < 4; ++i) cluster.submit(spec_for());  // jobs 1 to 4 fill both
  cluster.submit(spec_for("", 2));                         // job 5 needs a worker to itself
  for (int i = 0; i < 4; ++i) cluster.submit(spec_for());  // jobs 6 to 9 come later

  const auto end_first_on = [&cluster](const std::string& worker) {
    for (const Dispatch& order : cluster.dispatched) {
      const std::string& id = order.attempt.key().job_id();
      const v1::Job job = cluster.query(id);
      if (order.worker_id != worker || job.state() != v1::Job::STARTING) continue;
      cluster.say_started(worker, id);
      return cluster.say_ended(worker, id, 0);
    }
  };
  end_first_on(one);
  CHECK(started(cluster).size() == 4);  // its slot is kept for the large one
  end_first_on(two);
  CHECK(started(cluster).back() == "job-6");  // the other worker goes on
  end_first_on(one);

  CHECK(started(cluster).back() == "job-5");
}

TEST_CASE("a task without a record waits for what its array waits for", "[queue]") {
  ClusterOfFakes before;
  v1::JobSpec spec = spec_for();
  spec.mutable_array()->set_to(2);
  before.submit(spec);
  ClusterOfFakes cluster({}, before.store.begin_term()->live_jobs);

  const std::string reason = cluster.query("job-1").pending_reason();

  CHECK_FALSE(reason.empty());
  CHECK(cluster.query("job-1.1").pending_reason() == reason);
  CHECK(cluster.query("job-1.1").state() == v1::Job::QUEUED);
}

// How long the shortest of some rounds of ends takes, each of which starts the next of a queue.
std::chrono::nanoseconds time_of_ends(uint64_t queue_length) {
  std::vector<v1::Job> jobs;
  jobs.reserve(queue_length);
  for (uint64_t i = 1; i <= queue_length; ++i) {
    v1::Job& job = jobs.emplace_back();
    job.set_job_id("job-" + std::to_string(i));
    job.set_seq(i);
    job.set_state(v1::Job::QUEUED);
    *job.mutable_spec() = spec_for();
  }
  ClusterOfFakes cluster({}, std::move(jobs));
  const std::string worker = cluster.join("w", 1);
  auto shortest = std::chrono::nanoseconds::max();
  for (int round = 0; round < 10; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 10; ++i) {
      const std::string job_id = cluster.dispatched.back().attempt.key().job_id();
      cluster.say_started(worker, job_id);
      cluster.say_ended(worker, job_id, 0);
    }
    shortest =
        std::min<std::chrono::nanoseconds>(shortest, std::chrono::steady_clock::now() - begin);
  }
  CHECK(cluster.dispatched.size() == 101);
  return shortest;
}

TEST_CASE("a start costs no more in a long queue than in a short one", "[queue]") {
  const auto in_short_queue = time_of_ends(150);
  const auto in_long_queue = time_of_ends(5'000);

  CHECK(in_long_queue < 5 * in_short_queue);
}

TEST_CASE("of many attempts the record keeps how each ended, and what the last ones said",
          "[queue]") {
  constexpr uint32_t kAttempts = 60;
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  v1::JobSpec spec = retrying(v1::RetryPolicy::FAILURE, kAttempts);
  *spec.mutable_retry()->mutable_backoff() = to_proto(0s);
  cluster.submit(spec);
  for (uint32_t attempt = 1; attempt <= kAttempts; ++attempt) {
    cluster.advance(1ms);
    cluster.heartbeat(worker);
    cluster.say_started(worker, "job-1", attempt);
    v1::JobEvent event;
    event.mutable_key()->set_job_id("job-1");
    event.mutable_key()->set_attempt(attempt);
    event.mutable_ended()->set_reason(v1::JobEnd::EXITED);
    event.mutable_ended()->set_exit_code(static_cast<int>(attempt));
    event.mutable_ended()->set_output_tail(std::string(4096, 'x'));
    event.mutable_ended()->set_message(std::string(4096, 'm'));
    cluster.send_event(worker, event);
  }

  const v1::Job job = cluster.query("job-1");
  REQUIRE(job.attempts_size() == kAttempts);
  CHECK(job.attempts(0).end().exit_code() == 1);
  CHECK(job.attempts(0).end().output_tail().empty());
  CHECK(job.attempts(kAttempts - 1).end().output_tail().size() == 4096);
  CHECK(job.ByteSizeLong() < 60 * 500 + 5 * 8192);
}

TEST_CASE("a retry with a key of a job that goes on is refused, and does no harm", "[queue]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for());
  cluster.say_started(worker, "job-1");
  v1::RetryJobRequest retry;
  retry.set_job_id("job-1");
  const CallId call = cluster.next_call++;

  cluster.apply(cluster.scheduler.retry(call, retry, {"key", "sha"}, cluster.now));

  CHECK(absl::IsFailedPrecondition(cluster.reply(call)->status()));
}

TEST_CASE("what cannot be read for now is not taken for unknown", "[queue]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for());
  cluster.say_started(worker, "job-1");
  cluster.say_ended(worker, "job-1", 0);
  v1::JobSpec spec = spec_for();
  spec.add_after()->set_job_id("job-1");

  cluster.store.fail_reads(absl::DeadlineExceededError("nobody answers"));
  const CallId call = cluster.submit(spec);
  CHECK(absl::IsUnavailable(cluster.reply(call)->status()));

  cluster.store.fail_reads(absl::OkStatus());
  CHECK(cluster.reply(cluster.submit(spec))->ok());
}

TEST_CASE("a job whose dependency cannot be read after a restart is asked for again", "[queue]") {
  MemoryStore store;
  REQUIRE(store.begin_term().ok());
  StoreBatch batch;
  v1::Job& done = batch.put_jobs.emplace_back();
  done.set_job_id("done");
  done.set_state(v1::Job::SUCCEEDED);
  done.mutable_end()->set_reason(v1::JobEnd::EXITED);
  v1::Job& waiting = batch.put_jobs.emplace_back();
  waiting.set_job_id("waiting");
  waiting.set_state(v1::Job::QUEUED);
  *waiting.mutable_spec() = spec_for();
  waiting.mutable_spec()->add_after()->set_job_id("done");
  REQUIRE(store.commit({&batch, 1}).ok());
  Now now{BootTime(std::chrono::hours(1)), WallTime(std::chrono::hours(1000))};
  Scheduler scheduler({}, *store.begin_term(), now);
  const auto question_of = [](const Decision& decision) -> const LookUp* {
    for (const Effect& effect : decision.effects) {
      if (const auto* question = std::get_if<LookUp>(&effect)) return question;
    }
    return nullptr;
  };
  const Decision begun = scheduler.begin(now);
  const LookUp* question = question_of(begun);
  REQUIRE(question != nullptr);

  const Decision failed = scheduler.looked_up(question->id, absl::UnavailableError("away"), now);
  CHECK(failed.persist.put_jobs.empty());
  CHECK(question_of(failed) == nullptr);
  now.boot += std::chrono::minutes(1);
  const Decision asked = scheduler.tick(now);
  const LookUp* again = question_of(asked);
  REQUIRE(again != nullptr);
  (void)scheduler.looked_up(again->id, look_up(store, *again), now);

  v1::ExplainJobRequest request;
  request.set_job_id("waiting");
  const Decision explained = scheduler.explain(1, request);
  const auto& answer = std::get<Reply>(explained.effects.at(0)).answer;
  CHECK(std::get<v1::ExplainJobResponse>(*answer).ShortDebugString().find("waits for") ==
        std::string::npos);
}

TEST_CASE("a failure is retried after a wait that doubles, up to max_attempts", "[queue]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(retrying(v1::RetryPolicy::FAILURE));

  cluster.say_started(worker, "job-1");
  cluster.say_ended(worker, "job-1", 7);
  CHECK(cluster.query("job-1").state() == v1::Job::QUEUED);
  CHECK(cluster.query("job-1").pending_reason() == "waits before attempt 2");
  cluster.advance(999ms);
  CHECK(cluster.dispatched.size() == 1);
  cluster.advance(251ms);  // 1 s and at most a quarter
  REQUIRE(cluster.dispatched.size() == 2);
  CHECK(cluster.dispatched.back().attempt.key().attempt() == 2);
  cluster.say_started(worker, "job-1", 2);
  cluster.say_ended(worker, "job-1", 8, 2);
  cluster.advance(1999ms);
  CHECK(cluster.dispatched.size() == 2);
  cluster.advance(501ms);
  cluster.say_started(worker, "job-1", 3);
  cluster.say_ended(worker, "job-1", 9, 3);

  const v1::Job job = cluster.query("job-1");
  CHECK(job.state() == v1::Job::FAILED);
  CHECK(job.end().exit_code() == 9);
  REQUIRE(job.attempts_size() == 3);
  CHECK(job.attempts(0).end().exit_code() == 7);
}

TEST_CASE("an end that is not named is not retried, and a stopped job never", "[queue]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 2);
  cluster.submit(retrying(v1::RetryPolicy::LOSS));
  cluster.say_started(worker, "job-1");
  cluster.say_ended(worker, "job-1", 1);
  CHECK(cluster.query("job-1").state() == v1::Job::FAILED);

  cluster.submit(retrying(v1::RetryPolicy::FAILURE));
  cluster.say_started(worker, "job-2");
  v1::StopJobRequest stop;
  stop.set_job_id("job-2");
  cluster.apply(cluster.scheduler.stop(90, stop, "me", {}, cluster.now));
  cluster.say_ended(worker, "job-2", 1);

  CHECK(cluster.query("job-2").state() == v1::Job::FAILED);
  CHECK(cluster.query("job-2").attempts_size() == 1);
}

TEST_CASE("a lost job ends LOST, one that retries waits until its fence has killed it", "[queue]") {
  SchedulerConfig::Scheduling times;
  times.worker_timeout = 5s;
  times.lost_after = 20s;
  ClusterOfFakes cluster(times);
  const std::string worker = cluster.join("w", 2);
  cluster.submit(spec_for());
  cluster.submit(retrying(v1::RetryPolicy::LOSS));
  cluster.say_started(worker, "job-1");
  cluster.say_started(worker, "job-2");
  CHECK_FALSE(cluster.dispatched[0].attempt.has_fence_after());
  CHECK(from_proto(cluster.dispatched[1].attempt.fence_after()) == 18s);

  cluster.advance(5s);
  CHECK(cluster.worker("w").state() == v1::Worker::UNREACHABLE);
  CHECK(cluster.query("job-1").has_unreachable_since());
  const std::string other = cluster.join("other", 2);
  cluster.advance(14s);
  CHECK(cluster.query("job-1").state() == v1::Job::RUNNING);
  cluster.advance(1s);
  CHECK(cluster.worker("w").state() == v1::Worker::LOST);
  CHECK(cluster.query("job-1").end().reason() == v1::JobEnd::WORKER_LOST);
  CHECK(cluster.query("job-2").state() == v1::Job::QUEUED);
  cluster.advance(1999ms);
  CHECK(cluster.dispatched.size() == 2);
}

TEST_CASE("the true end of an attempt that was given up is kept beside it", "[queue]") {
  SchedulerConfig::Scheduling times;
  times.lost_after = 15s;
  ClusterOfFakes cluster(times);
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for());
  cluster.say_started(worker, "job-1");
  cluster.advance(16s);
  REQUIRE(cluster.query("job-1").state() == v1::Job::LOST);

  v1::HeldAttempt held;
  held.mutable_key()->set_job_id("job-1");
  held.mutable_key()->set_attempt(1);
  held.set_started(true);
  held.mutable_end()->set_reason(v1::JobEnd::EXITED);
  held.mutable_end()->set_exit_code(0);
  cluster.sent.clear();
  cluster.open_session(worker, {held});

  const v1::Job job = cluster.query("job-1");
  CHECK(job.state() == v1::Job::LOST);  // final
  CHECK(job.attempts(0).late_end().exit_code() == 0);
  bool acknowledged = false;
  for (const SendDown& down : cluster.sent) {
    acknowledged = acknowledged || down.message.has_acknowledged();
  }
  CHECK(acknowledged);
}

TEST_CASE("a request id names one order, whatever becomes of the job", "[queue]") {
  ClusterOfFakes cluster;
  cluster.join("w", 1);
  const CallId first = cluster.submit(spec_for(), "key", "digest");
  const CallId again = cluster.submit(spec_for(), "key", "digest");
  const CallId other = cluster.submit(spec_for(), "key", "another digest");

  CHECK(cluster.job_reply(first).job_id() == cluster.job_reply(again).job_id());
  CHECK(absl::IsAlreadyExists(cluster.reply(other)->status()));
  CHECK(field_of(cluster.reply(other)->status()) == "request_id");

  v1::StopJobRequest stop;
  stop.set_job_id("job-1");
  cluster.apply(cluster.scheduler.stop(91, stop, "me", {"stop-key", "stop"}, cluster.now));
  cluster.apply(cluster.scheduler.stop(92, stop, "me", {"stop-key", "stop"}, cluster.now));
  CHECK(cluster.job_reply(92).has_stop_requested());
  stop.set_reason("another");
  cluster.apply(cluster.scheduler.stop(93, stop, "me", {"stop-key", "other"}, cluster.now));
  CHECK(absl::IsAlreadyExists(cluster.reply(93)->status()));
}

TEST_CASE("each change of a job and of a worker is an event, numbered without a gap", "[queue]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for());
  cluster.say_started(worker, "job-1");
  cluster.say_ended(worker, "job-1", 0);

  const auto events = cluster.store.read_events(0, 100);
  REQUIRE(events.ok());
  std::vector<v1::Job::State> states;
  for (size_t i = 0; i < events->size(); ++i) {
    CHECK((*events)[i].seq() == i + 1);
    if ((*events)[i].has_job()) states.push_back((*events)[i].job().state());
  }
  CHECK(states ==
        std::vector<v1::Job::State>{v1::Job::STARTING, v1::Job::RUNNING, v1::Job::SUCCEEDED});
}

TEST_CASE("what is too old is deleted, and its output with it", "[queue]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for());
  cluster.say_started(worker, "job-1");
  cluster.say_ended(worker, "job-1", 0);
  cluster.submit(spec_for());  // it runs on
  cluster.say_started(worker, "job-2");
  const auto week = std::chrono::hours(24 * 7);

  for (auto passed = 0s; passed < week + 120s; passed += 10s) {  // heard all the time
    cluster.heartbeat(worker);
    cluster.advance(10s);
  }

  CHECK_FALSE(cluster.stored("job-1"));
  CHECK(cluster.stored("job-2"));
  CHECK(absl::IsNotFound(cluster.query_status("job-1")));
  REQUIRE(cluster.sent.back().message.has_delete_outputs() == false);
  CHECK(cluster.store.find_doomed(worker, 10)->front() == "job-1");
}

}  // namespace
}  // namespace clusterd
