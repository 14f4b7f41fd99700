#include <catch2/catch.hpp>

#include "support/cluster_of_fakes.h"

namespace clusterd {
namespace {

using std::chrono_literals::operator""s;

OutputQuery ask_for(const std::string& job_id, bool follow) {
  OutputQuery query;
  query.request.set_job_id(job_id);
  query.request.set_follow(follow);
  return query;
}

OutputLocation location(const ClusterOfFakes& cluster, CallId call) {
  REQUIRE(cluster.reply(call) != nullptr);
  REQUIRE(cluster.reply(call)->ok());
  return std::get<OutputLocation>(**cluster.reply(call));
}

v1::HeldAttempt held_started(const std::string& job_id) {
  v1::HeldAttempt held;
  held.mutable_key()->set_job_id(job_id);
  held.mutable_key()->set_attempt(1);
  held.set_started(true);
  return held;
}

TEST_CASE("before the first attempt a follow waits, and a plain read is empty") {
  ClusterOfFakes cluster;
  cluster.submit(spec_for());

  cluster.apply(cluster.scheduler.locate_output(50, ask_for("job-1", false), cluster.now));
  CHECK(location(cluster, 50).attempt == 0);
  cluster.apply(cluster.scheduler.locate_output(51, ask_for("job-1", true), cluster.now));
  CHECK(cluster.reply(51) == nullptr);
  const std::string worker = cluster.join("w", 1);
  cluster.say_started(worker, "job-1");

  CHECK(location(cluster, 51).attempt == 1);
  CHECK(location(cluster, 51).worker_id == worker);
}

TEST_CASE("a follow of the next attempt waits for it, and ends with the job where it never comes") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 2);
  v1::JobSpec spec = spec_for("w");
  spec.mutable_retry()->set_max_attempts(2);
  spec.mutable_retry()->add_on(v1::RetryPolicy::FAILURE);
  const auto follow_second = [&cluster](const std::string& job_id, CallId call) {
    OutputQuery query = ask_for(job_id, true);
    query.request.set_attempt(2);
    cluster.apply(cluster.scheduler.locate_output(call, query, cluster.now));
  };
  for (const char* job_id : {"job-1", "job-2"}) {
    cluster.submit(spec);
    cluster.say_started(worker, job_id);
    cluster.say_ended(worker, job_id, 1);
  }

  follow_second("job-1", 50);
  follow_second("job-2", 51);
  CHECK(cluster.reply(50) == nullptr);
  cluster.stop("job-2");
  cluster.advance(2s);
  cluster.say_started(worker, "job-1", 2);

  CHECK(location(cluster, 50).attempt == 2);
  REQUIRE(cluster.reply(51) != nullptr);
  CHECK(absl::IsNotFound(cluster.reply(51)->status()));
}

TEST_CASE("output of a worker that is away: a read fails, a follow waits for it") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for("w"));
  cluster.say_started(worker, "job-1");
  const StreamId stream = cluster.open_session(worker, {held_started("job-1")});
  cluster.answer_call_back(worker);
  cluster.apply(cluster.scheduler.session_closed(stream, cluster.now));

  cluster.apply(cluster.scheduler.locate_output(50, ask_for("job-1", false), cluster.now));
  CHECK(absl::IsUnavailable(cluster.reply(50)->status()));
  OutputQuery resumed = ask_for("job-1", true);
  resumed.resuming = true;
  cluster.apply(cluster.scheduler.locate_output(51, resumed, cluster.now));
  CHECK(cluster.reply(51) == nullptr);
  cluster.advance(16s);

  CHECK(absl::IsUnavailable(cluster.reply(51)->status()));
}

TEST_CASE("a follow resumes although its job ended while the worker was away") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for("w"));
  cluster.say_started(worker, "job-1");
  const StreamId stream = cluster.open_session(worker, {held_started("job-1")});
  cluster.answer_call_back(worker);
  cluster.apply(cluster.scheduler.session_closed(stream, cluster.now));
  OutputQuery resumed = ask_for("job-1", true);
  resumed.resuming = true;
  cluster.apply(cluster.scheduler.locate_output(51, resumed, cluster.now));
  v1::HeldAttempt ended = held_started("job-1");
  ended.mutable_end()->set_reason(v1::JobEnd::EXITED);
  ended.mutable_end()->set_exit_code(7);
  ended.mutable_end()->add_outputs()->set_total_bytes(12);

  cluster.open_session(worker, {ended});
  CHECK(cluster.query("job-1").state() == v1::Job::FAILED);
  CHECK(cluster.reply(51) == nullptr);
  cluster.answer_call_back(worker);

  CHECK(location(cluster, 51).worker_id == worker);
}

TEST_CASE("the output of a lost attempt is not known to be empty") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for("w"));
  cluster.say_started(worker, "job-1");
  cluster.open_session(worker, {}, "another boot");
  cluster.answer_call_back(worker);

  cluster.apply(cluster.scheduler.locate_output(50, ask_for("job-1", false), cluster.now));

  CHECK(location(cluster, 50).worker_id == worker);
}

TEST_CASE("a new follow of output on a worker that is away fails at once") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for("w"));
  cluster.say_started(worker, "job-1");
  v1::DeregisterWorkerRequest request;
  request.set_worker_id(worker);
  cluster.apply(cluster.scheduler.deregister_worker(900, request, "digest", cluster.now));
  cluster.apply(cluster.scheduler.session_closed(1000, cluster.now));

  cluster.apply(cluster.scheduler.locate_output(50, ask_for("job-1", true), cluster.now));

  REQUIRE(cluster.reply(50) != nullptr);
  CHECK(absl::IsUnavailable(cluster.reply(50)->status()));
}

TEST_CASE("the outcome of an attempt is told once its end is recorded") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for("w"));
  cluster.say_started(worker, "job-1");
  v1::AttemptKey key;
  key.set_job_id("job-1");
  key.set_attempt(1);

  cluster.apply(cluster.scheduler.outcome_of(50, key, cluster.now));
  CHECK(cluster.reply(50) == nullptr);
  cluster.say_ended(worker, "job-1", 1);

  const auto outcome = std::get<AttemptOutcome>(**cluster.reply(50));
  CHECK(outcome.job_state == v1::Job::FAILED);
  CHECK_FALSE(outcome.another_attempt);
}

TEST_CASE("an unknown job, or attempt, is NOT_FOUND; another worker's job too") {
  ClusterOfFakes cluster;
  cluster.join("other", 1);
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for("w"));
  cluster.say_started(worker, "job-1");

  cluster.apply(cluster.scheduler.locate_output(50, ask_for("nothing", true), cluster.now));
  CHECK(absl::IsNotFound(cluster.reply(50)->status()));
  OutputQuery later = ask_for("job-1", false);
  later.request.set_attempt(2);
  cluster.apply(cluster.scheduler.locate_output(51, later, cluster.now));
  CHECK(absl::IsNotFound(cluster.reply(51)->status()));
  OutputQuery elsewhere = ask_for("job-1", false);
  elsewhere.request.set_worker_id("other");
  cluster.apply(cluster.scheduler.locate_output(52, elsewhere, cluster.now));
  CHECK(absl::IsNotFound(cluster.reply(52)->status()));
}

TEST_CASE("a caller that goes away is forgotten") {
  ClusterOfFakes cluster;
  cluster.submit(spec_for());
  cluster.apply(cluster.scheduler.locate_output(50, ask_for("job-1", true), cluster.now));

  cluster.scheduler.abandon(50);
  const std::string worker = cluster.join("w", 1);
  cluster.say_started(worker, "job-1");

  CHECK(cluster.reply(50) == nullptr);
}

}  // namespace
}  // namespace clusterd
