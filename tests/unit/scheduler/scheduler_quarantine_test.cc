#include <algorithm>
#include <catch2/catch.hpp>

#include "core/field_error.h"
#include "core/proto_time.h"
#include "core/worker_fault.h"
#include "support/cluster_of_fakes.h"

namespace clusterd {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

const std::string kGone = "path: the scripts folder cannot be opened";

v1::JobEvent event_of(const std::string& job_id, uint32_t attempt) {
  v1::JobEvent event;
  event.mutable_key()->set_job_id(job_id);
  event.mutable_key()->set_attempt(attempt);
  return event;
}

// The attempt that was given out last is refused for something that is the worker's own.
void refuse_newest(ClusterOfFakes& cluster) {
  const Dispatch order = cluster.dispatched.back();
  v1::JobEvent event = event_of(order.attempt.key().job_id(), order.attempt.key().attempt());
  *event.mutable_refused() =
      to_proto(by_workers_fault(invalid_field("path", "the scripts folder cannot be opened")));
  cluster.send_event(order.worker_id, event);
}

void start_newest(ClusterOfFakes& cluster) {
  const Dispatch order = cluster.dispatched.back();
  cluster.say_started(order.worker_id, order.attempt.key().job_id(), order.attempt.key().attempt());
}

// Time goes by, and the worker `w` says that it lives.
void pass(ClusterOfFakes& cluster, std::chrono::nanoseconds time) {
  while (time > 0s) {
    const auto step = std::min<std::chrono::nanoseconds>(time, 5s);
    cluster.advance(step);
    cluster.heartbeat("id-of-w");
    time -= step;
  }
}

// A worker `w` whose quarantine has just begun, with a job that waits for it.
void make_sick(ClusterOfFakes& cluster) {
  cluster.submit(spec_for());
  for (int i = 0; i < 3; ++i) refuse_newest(cluster);
}

std::chrono::nanoseconds until_probe(ClusterOfFakes& cluster) {
  return from_proto(cluster.worker("w").quarantine().next_probe()) - cluster.now.wall;
}

TEST_CASE("a worker at which starts fail in a row gets no queued jobs, and no job fails",
          "[quarantine]") {
  ClusterOfFakes cluster;
  cluster.join("w", 1);
  cluster.submit(spec_for());
  cluster.submit(spec_for());

  refuse_newest(cluster);
  refuse_newest(cluster);
  CHECK_FALSE(cluster.worker("w").has_quarantine());
  refuse_newest(cluster);

  const v1::Worker worker = cluster.worker("w");
  CHECK(worker.state() == v1::Worker::ALIVE);
  CHECK(worker.quarantine().reason() == kGone);
  CHECK(from_proto(worker.quarantine().since()) == cluster.now.wall);
  CHECK(until_probe(cluster) == 2s);
  CHECK(cluster.dispatched.size() == 3);
  for (const char* id : {"job-1", "job-2"}) {
    CHECK(cluster.query(id).state() == v1::Job::QUEUED);
    CHECK(cluster.query(id).pending_reason() == "worker w is in quarantine: " + kGone);
  }
}

TEST_CASE("failures of many starts of one batch put no job to its end", "[quarantine]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 64);
  for (int i = 0; i < 64; ++i) cluster.submit(spec_for());
  REQUIRE(cluster.dispatched.size() == 64);

  for (int i = 1; i <= 64; ++i) {
    v1::JobEvent event = event_of("job-" + std::to_string(i), 1);
    event.mutable_ended()->set_reason(v1::JobEnd::START_FAILED);
    event.mutable_ended()->set_message("no new process");
    event.mutable_ended()->set_worker_at_fault(true);
    cluster.send_event(worker, event);
  }

  CHECK(cluster.worker("w").quarantine().reason() == "no new process");
  for (int i = 1; i <= 64; ++i) {
    CHECK(cluster.query("job-" + std::to_string(i)).state() != v1::Job::FAILED);
  }
}

TEST_CASE("jobs of a worker in quarantine run on others", "[quarantine]") {
  ClusterOfFakes cluster;
  cluster.join("w", 8);
  const std::string other = cluster.join("x", 1);
  cluster.submit(spec_for());

  for (int i = 0; i < 3; ++i) refuse_newest(cluster);

  CHECK(cluster.dispatched.back().worker_id == other);
  start_newest(cluster);
  CHECK(cluster.query("job-1").state() == v1::Job::RUNNING);
}

TEST_CASE("one job is tried after a wait that doubles up to half a minute", "[quarantine]") {
  ClusterOfFakes cluster;
  cluster.join("w", 4);
  make_sick(cluster);
  for (int i = 0; i < 20; ++i) cluster.submit(spec_for());

  std::chrono::nanoseconds expected = 2s;
  for (uint32_t probe = 1; probe <= 7; ++probe) {
    CHECK(until_probe(cluster) == expected);
    const size_t before = cluster.dispatched.size();
    pass(cluster, expected - 1ms);
    CHECK(cluster.dispatched.size() == before);
    cluster.advance(1ms);
    REQUIRE(cluster.dispatched.size() == before + 1);  // one, though four would fit
    refuse_newest(cluster);
    CHECK(cluster.dispatched.size() == before + 1);
    CHECK(cluster.worker("w").quarantine().probes() == probe);
    expected = std::min<std::chrono::nanoseconds>(2 * expected, 30s);
  }
}

TEST_CASE("a start that succeeds ends the quarantine", "[quarantine]") {
  ClusterOfFakes cluster;
  cluster.join("w", 4);
  make_sick(cluster);
  for (int i = 0; i < 2; ++i) cluster.submit(spec_for());
  const size_t before = cluster.dispatched.size();

  cluster.advance(2s);
  CHECK(cluster.dispatched.size() == before + 1);
  start_newest(cluster);

  CHECK_FALSE(cluster.worker("w").has_quarantine());
  CHECK(cluster.dispatched.size() == before + 3);
}

TEST_CASE("a probe that says nothing of the worker is followed by another", "[quarantine]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 4);
  make_sick(cluster);
  cluster.submit(spec_for());
  cluster.advance(2s);
  const v1::AttemptKey tried = cluster.dispatched.back().attempt.key();
  const size_t before = cluster.dispatched.size();

  v1::JobEvent event = event_of(tried.job_id(), tried.attempt());
  *event.mutable_refused() = to_proto(invalid_field("command", "\"x\" is not allowed"));
  cluster.send_event(worker, event);

  CHECK(cluster.query(tried.job_id()).state() == v1::Job::FAILED);
  CHECK(cluster.worker("w").quarantine().probes() == 0);
  REQUIRE(cluster.dispatched.size() == before + 1);
  start_newest(cluster);
  CHECK_FALSE(cluster.worker("w").has_quarantine());
}

TEST_CASE("refusals that are a job's own fault put no worker into quarantine", "[quarantine]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  for (int i = 1; i <= 5; ++i) {
    cluster.submit(spec_for());
    v1::JobEvent event = event_of("job-" + std::to_string(i), 1);
    *event.mutable_refused() = to_proto(invalid_field("command", "\"x\" is not allowed"));
    cluster.send_event(worker, event);
    CHECK(cluster.query("job-" + std::to_string(i)).state() == v1::Job::FAILED);
  }

  CHECK_FALSE(cluster.worker("w").has_quarantine());
}

TEST_CASE("failures with a success between, or long ago, do not count", "[quarantine]") {
  ClusterOfFakes cluster;
  cluster.join("w", 8);
  cluster.submit(spec_for());
  refuse_newest(cluster);
  refuse_newest(cluster);
  start_newest(cluster);
  cluster.submit(spec_for());
  refuse_newest(cluster);
  refuse_newest(cluster);
  CHECK_FALSE(cluster.worker("w").has_quarantine());

  pass(cluster, 301s);
  const size_t before = cluster.dispatched.size();
  cluster.submit(spec_for());
  REQUIRE(cluster.dispatched.size() > before);
  refuse_newest(cluster);

  CHECK_FALSE(cluster.worker("w").has_quarantine());
}

TEST_CASE("starts that fail by a worker's fault do not use up a job's own attempts",
          "[quarantine]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  v1::JobSpec spec = spec_for();
  spec.mutable_retry()->set_max_attempts(2);
  spec.mutable_retry()->add_on(v1::RetryPolicy::FAILURE);
  *spec.mutable_retry()->mutable_backoff() = to_proto(1s);
  cluster.submit(spec);
  refuse_newest(cluster);
  refuse_newest(cluster);

  cluster.say_started(worker, "job-1", 3);
  cluster.say_ended(worker, "job-1", 1, 3);
  CHECK(cluster.query("job-1").state() == v1::Job::QUEUED);
  cluster.advance(2s);
  cluster.say_started(worker, "job-1", 4);
  cluster.say_ended(worker, "job-1", 1, 4);

  CHECK(cluster.query("job-1").state() == v1::Job::FAILED);
  CHECK(cluster.query("job-1").attempts_size() == 4);
}

TEST_CASE("probes of a sick worker end no job, and its record does not grow", "[quarantine]") {
  ClusterOfFakes cluster;
  cluster.join("w", 1);
  make_sick(cluster);

  for (int i = 0; i < 40; ++i) {
    pass(cluster, 30s);
    refuse_newest(cluster);
  }

  CHECK(cluster.query("job-1").state() == v1::Job::QUEUED);
  CHECK(cluster.query("job-1").attempt() == 43);
  CHECK(cluster.query("job-1").attempts_size() == 3);
  pass(cluster, 30s);
  start_newest(cluster);
  CHECK(cluster.query("job-1").state() == v1::Job::RUNNING);
}

TEST_CASE("a job that a worker could not start goes to another that has room", "[quarantine]") {
  ClusterOfFakes cluster;
  cluster.join("w", 4);
  cluster.submit(spec_for());
  cluster.join("other", 1);

  refuse_newest(cluster);

  CHECK(cluster.query("job-1").worker_id() == "id-of-other");
}

TEST_CASE("a job that fails to start wherever it comes ends", "[quarantine]") {
  ClusterOfFakes cluster;
  cluster.submit(spec_for());

  for (int i = 0; i < 11; ++i) {
    if (cluster.query("job-1").state() == v1::Job::QUEUED) cluster.advance(30s);
    cluster.join("w" + std::to_string(i), 1);
    refuse_newest(cluster);
  }

  const v1::Job job = cluster.query("job-1");
  CHECK(job.state() == v1::Job::FAILED);
  CHECK(job.end().reason() == v1::JobEnd::START_FAILED);
  CHECK(job.end().worker_at_fault());
  CHECK(job.attempts_size() == 11);
}

TEST_CASE("a job that names a worker in quarantine goes there, and its start ends it",
          "[quarantine]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 4);
  make_sick(cluster);
  const CallId call = cluster.submit(spec_for("w"));
  CHECK(cluster.dispatched.back().attempt.key().job_id() == "job-2");
  cluster.refuse(worker, "job-2", by_workers_fault(invalid_field("path", "still gone")));
  CHECK(absl::IsInvalidArgument(cluster.reply(call)->status()));  // its caller is told at once
  CHECK(cluster.worker("w").quarantine().probes() == 0);

  cluster.submit(spec_for("w"));
  cluster.say_started(worker, "job-3");

  CHECK_FALSE(cluster.worker("w").has_quarantine());
  CHECK(cluster.dispatched.back().attempt.key().job_id() == "job-1");
}

TEST_CASE("an order to resume a worker ends its quarantine", "[quarantine]") {
  ClusterOfFakes cluster;
  cluster.join("w", 1);
  make_sick(cluster);
  const size_t before = cluster.dispatched.size();

  v1::ResumeWorkerRequest request;
  request.set_worker_id("w");
  cluster.apply(cluster.scheduler.resume(cluster.next_call++, request, {}, cluster.now));

  CHECK_FALSE(cluster.worker("w").has_quarantine());
  CHECK(cluster.dispatched.size() == before + 1);
  cluster.advance(2s);  // the timer of its probe means nothing any more
  CHECK(cluster.dispatched.size() == before + 1);
}

TEST_CASE("a quarantine goes on in the next term of office", "[quarantine]") {
  ClusterOfFakes before;
  before.join("w", 1);
  make_sick(before);

  ClusterOfFakes cluster({}, {}, before.store.workers());
  cluster.open_session("id-of-w");
  cluster.answer_call_back("id-of-w");
  cluster.submit(spec_for());
  CHECK(cluster.dispatched.empty());
  cluster.advance(2s);

  CHECK(cluster.dispatched.size() == 1);
}

TEST_CASE("an explanation says that a worker is in quarantine", "[quarantine]") {
  ClusterOfFakes cluster;
  cluster.join("w", 1);
  make_sick(cluster);

  v1::ExplainJobRequest request;
  request.set_job_id("job-1");
  const CallId call = cluster.next_call++;
  cluster.apply(cluster.scheduler.explain(call, request));

  const auto answer = std::get<v1::ExplainJobResponse>(**cluster.reply(call));
  CHECK(answer.summary() == "worker w is in quarantine: " + kGone);
  REQUIRE(answer.workers_size() == 1);
  CHECK(answer.workers(0).reasons(0) == "is in quarantine: " + kGone);
}

TEST_CASE("with quarantine_after = 0 a start that fails is the job's end", "[quarantine]") {
  SchedulerConfig::Scheduling scheduling;
  scheduling.quarantine_after = 0;
  ClusterOfFakes cluster(scheduling);
  cluster.join("w", 1);
  cluster.submit(spec_for());

  refuse_newest(cluster);

  CHECK(cluster.query("job-1").state() == v1::Job::FAILED);
  CHECK_FALSE(cluster.worker("w").has_quarantine());
}

// The newest attempt's worker comes back with another boot, which loses it.
void lose_newest(ClusterOfFakes& cluster, const std::string& boot) {
  cluster.open_session("id-of-w", {}, boot);
  cluster.answer_call_back("id-of-w");
  pass(cluster, 20s);  // the wait before another attempt
}

v1::JobSpec retried_on_loss(uint32_t max_losses = 0) {
  v1::JobSpec spec = spec_for();
  spec.mutable_retry()->set_max_attempts(100);
  spec.mutable_retry()->add_on(v1::RetryPolicy::LOSS);
  spec.mutable_retry()->set_max_losses(max_losses);
  *spec.mutable_retry()->mutable_backoff() = to_proto(1s);
  return spec;
}

TEST_CASE("a job that loses every worker it meets ends after max_losses", "[retry]") {
  const uint32_t own = GENERATE(0, 2);
  const size_t most = own == 0 ? 3 : 2;
  ClusterOfFakes cluster;
  cluster.join("w", 1);
  cluster.submit(retried_on_loss(own));

  for (size_t i = 1; i <= most; ++i) {
    REQUIRE(cluster.dispatched.size() == i);
    CHECK(cluster.query("job-1").state() == v1::Job::STARTING);
    lose_newest(cluster, "boot " + std::to_string(i));
  }

  const v1::Job job = cluster.query("job-1");
  CHECK(job.state() == v1::Job::LOST);
  CHECK(job.attempts_size() == static_cast<int>(most));
  CHECK_THAT(job.end().message(),
             Catch::Contains(std::to_string(most) + " attempts were lost with their workers"));
}

}  // namespace
}  // namespace clusterd
