#include <catch2/catch.hpp>

#include "core/field_error.h"
#include "core/proto_time.h"
#include "support/cluster_of_fakes.h"

namespace clusterd {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

TEST_CASE("a directed job answers RUNNING once its worker has started it") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 2);

  const CallId call = cluster.submit(spec_for("w"));
  CHECK(cluster.reply(call) == nullptr);
  cluster.say_started(worker, "job-1");

  const v1::Job job = cluster.job_reply(call);
  CHECK(job.state() == v1::Job::RUNNING);
  CHECK(job.worker_id() == worker);
  CHECK(job.attempt() == 1);
  CHECK(cluster.dispatched.size() == 1);
}

TEST_CASE("a directed job without a verdict answers STARTING after start_wait") {
  ClusterOfFakes cluster;
  cluster.join("w", 2);

  const CallId call = cluster.submit(spec_for("w"));
  cluster.advance(499ms);
  CHECK(cluster.reply(call) == nullptr);
  cluster.advance(1ms);

  CHECK(cluster.job_reply(call).state() == v1::Job::STARTING);
}

TEST_CASE("a refused directed job leaves nothing behind") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);

  const CallId call = cluster.submit(spec_for("w"));
  cluster.refuse(worker, "job-1", invalid_field("path", "no such script"));

  REQUIRE(cluster.reply(call) != nullptr);
  CHECK(absl::IsInvalidArgument(cluster.reply(call)->status()));
  CHECK(field_of(cluster.reply(call)->status()) == "path");
  CHECK(cluster.store.jobs().empty());
  CHECK(absl::IsNotFound(cluster.query_status("job-1")));
  CHECK(cluster.worker("w").in_use().slots() == 0);
}

TEST_CASE("a queued job that is refused ends START_FAILED with the same text") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);

  cluster.submit(spec_for());
  cluster.refuse(worker, "job-1", invalid_field("path", "no such script"));

  const v1::Job job = cluster.query("job-1");
  CHECK(job.state() == v1::Job::FAILED);
  CHECK(job.end().reason() == v1::JobEnd::START_FAILED);
  CHECK(job.end().message() == "path: no such script");
}

TEST_CASE("a directed job for a worker that is unknown, or silent, is refused at once") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);

  const CallId unknown = cluster.submit(spec_for("nobody"));
  CHECK(absl::IsNotFound(cluster.reply(unknown)->status()));
  CHECK(field_of(cluster.reply(unknown)->status()) == "worker_id");

  cluster.advance(16s);
  const CallId silent = cluster.submit(spec_for("w"));
  CHECK(absl::IsUnavailable(cluster.reply(silent)->status()));
  CHECK(cluster.store.jobs().empty());
}

TEST_CASE("a directed job waits for room on its worker and starts when there is") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.join("other", 4);
  cluster.submit(spec_for("w"));
  cluster.say_started(worker, "job-1");

  const CallId call = cluster.submit(spec_for("w"));
  CHECK(cluster.job_reply(call).state() == v1::Job::QUEUED);
  CHECK_FALSE(cluster.job_reply(call).pending_reason().empty());
  cluster.say_ended(worker, "job-1", 0);

  REQUIRE(cluster.dispatched.size() == 2);
  CHECK(cluster.dispatched[1].worker_id == worker);
  CHECK(cluster.dispatched[1].attempt.key().job_id() == "job-2");
}

TEST_CASE("queued jobs go to the worker with the largest free share, oldest first") {
  ClusterOfFakes cluster;
  const std::string small = cluster.join("a-small", 2);
  const std::string large = cluster.join("b-large", 4);

  for (int i = 0; i < 7; ++i) cluster.submit(spec_for());

  CHECK(cluster.dispatched.size() == 6);  // none above capacity
  CHECK(cluster.worker("a-small").in_use().slots() == 2);
  CHECK(cluster.worker("b-large").in_use().slots() == 4);
  cluster.say_ended(large, cluster.dispatched[1].attempt.key().job_id(), 0);
  REQUIRE(cluster.dispatched.size() == 7);
  CHECK(cluster.dispatched[6].attempt.key().job_id() == "job-7");
}

TEST_CASE("a higher priority goes first") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for());
  cluster.submit(spec_for());
  v1::JobSpec urgent = spec_for();
  urgent.set_priority(10);
  cluster.submit(urgent);

  cluster.say_ended(worker, "job-1", 0);

  CHECK(cluster.dispatched.back().attempt.key().job_id() == "job-3");
}

TEST_CASE("a job that no worker can ever hold does not block the others") {
  ClusterOfFakes cluster;
  cluster.join("w", 2);

  cluster.submit(spec_for("", 100));
  cluster.submit(spec_for());

  REQUIRE(cluster.dispatched.size() == 1);
  CHECK(cluster.dispatched[0].attempt.key().job_id() == "job-2");
}

TEST_CASE("stopping the head of the queue lets those behind it start") {
  ClusterOfFakes cluster;
  cluster.join("w", 2);
  cluster.submit(spec_for());
  cluster.submit(spec_for("", 2));
  cluster.submit(spec_for());
  CHECK(cluster.dispatched.size() == 1);  // nobody overtakes the large one
  v1::StopJobRequest stop;
  stop.set_job_id("job-2");

  cluster.apply(cluster.scheduler.stop(50, stop, "me", {}, cluster.now));

  REQUIRE(cluster.dispatched.size() == 2);
  CHECK(cluster.dispatched[1].attempt.key().job_id() == "job-3");
}

TEST_CASE("a job that fitted nobody starts when a member comes that can hold it") {
  ClusterOfFakes cluster;
  cluster.join("small", 2);
  cluster.submit(spec_for("", 8));
  cluster.submit(spec_for());
  CHECK(cluster.dispatched.size() == 1);

  const std::string large = cluster.join("large", 8);

  REQUIRE(cluster.dispatched.size() == 2);
  CHECK(cluster.dispatched[1].worker_id == large);
  CHECK(cluster.dispatched[1].attempt.key().job_id() == "job-1");
}

TEST_CASE("nothing is answered or dispatched before its commit is durable") {
  ClusterOfFakes cluster;
  cluster.join("w", 2);
  cluster.hold_commits();

  const CallId call = cluster.submit(spec_for());
  CHECK(cluster.reply(call) == nullptr);
  CHECK(cluster.dispatched.empty());
  v1::QueryJobRequest request;
  request.set_job_id("job-1");
  const Decision read = cluster.scheduler.query(99, request);
  CHECK(read.after > 0);  // a read waits for that same commit
  cluster.release_commits();

  CHECK(cluster.reply(call) != nullptr);
  CHECK(cluster.dispatched.size() == 1);
}

TEST_CASE("a queued job that is stopped never starts") {
  ClusterOfFakes cluster;
  cluster.submit(spec_for());
  v1::StopJobRequest stop;
  stop.set_job_id("job-1");
  stop.set_reason("changed my mind");

  cluster.apply(cluster.scheduler.stop(50, stop, "me", {}, cluster.now));
  cluster.join("w", 2);

  const v1::Job job = cluster.query("job-1");
  CHECK(job.state() == v1::Job::STOPPED);
  CHECK(job.end().reason() == v1::JobEnd::CANCELLED_BEFORE_START);
  CHECK(job.stop_requested().reason() == "changed my mind");
  CHECK(cluster.dispatched.empty());
}

TEST_CASE("a stop of a running job is durable, sent, and sent again until it is taken on") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 2);
  cluster.submit(spec_for("w"));
  cluster.say_started(worker, "job-1");
  v1::StopJobRequest stop;
  stop.set_job_id("job-1");

  cluster.apply(cluster.scheduler.stop(50, stop, "me", {}, cluster.now));
  CHECK(cluster.job_reply(50).state() == v1::Job::RUNNING);
  CHECK(cluster.job_reply(50).has_stop_requested());
  REQUIRE(cluster.stops.size() == 1);
  cluster.apply(cluster.scheduler.stop_answered(worker, cluster.stops[0].session,
                                                {cluster.stops[0].key},
                                                absl::UnavailableError("slow"), cluster.now));
  cluster.advance(300ms);

  CHECK(cluster.stops.size() == 2);
}

TEST_CASE("a stop tells how long the signal is given: the job's own grace, else its worker's") {
  ClusterOfFakes cluster;
  cluster.join("w", 2, {{}}, 20s);
  v1::JobSpec own = spec_for();
  *own.mutable_stop_grace() = to_proto(3s);
  const auto grace_after_stop = [&cluster](const std::string& job_id) {
    const v1::Job job = cluster.stop(job_id);
    REQUIRE(job.has_stop_requested());
    return job.stop_requested().has_grace()
               ? std::optional(from_proto(job.stop_requested().grace()))
               : std::nullopt;
  };
  v1::JobSpec array = spec_for();
  array.mutable_array()->set_to(3);
  cluster.submit(own);
  cluster.submit(array);  // one task finds room, the others wait
  cluster.submit(spec_for());

  CHECK(grace_after_stop("job-1") == 3s);
  CHECK(grace_after_stop("job-2") == 20s);           // of the task that was given to the worker
  CHECK(grace_after_stop("job-3") == std::nullopt);  // nothing of it runs
}

TEST_CASE("the grace of a worker that does not tell it is not known") {
  ClusterOfFakes cluster;
  cluster.join("w", 1);
  cluster.submit(spec_for());

  CHECK_FALSE(cluster.stop("job-1").stop_requested().has_grace());
}

TEST_CASE("an ended job never changes") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 2);
  cluster.submit(spec_for("w"));
  cluster.say_started(worker, "job-1");
  cluster.say_ended(worker, "job-1", 3);
  const v1::Job ended = cluster.query("job-1");

  cluster.say_ended(worker, "job-1", 0);
  cluster.say_started(worker, "job-1");
  v1::StopJobRequest stop;
  stop.set_job_id("job-1");
  cluster.apply(cluster.scheduler.stop(50, stop, "me", {}, cluster.now));

  CHECK(ended.state() == v1::Job::FAILED);
  CHECK(cluster.query("job-1").SerializeAsString() == ended.SerializeAsString());
  CHECK(cluster.job_reply(50).SerializeAsString() == ended.SerializeAsString());
}

TEST_CASE("an end that is said before the start has been heard counts") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 2);
  const CallId call = cluster.submit(spec_for("w"));

  cluster.say_ended(worker, "job-1", 0);
  cluster.say_started(worker, "job-1");

  CHECK(cluster.job_reply(call).state() == v1::Job::SUCCEEDED);
  CHECK(cluster.query("job-1").state() == v1::Job::SUCCEEDED);
  CHECK(cluster.worker("w").in_use().slots() == 0);
}

TEST_CASE("an unanswered start is sent again in the same session") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 2);
  cluster.submit(spec_for());
  const Dispatch first = cluster.dispatched.at(0);

  cluster.apply(cluster.scheduler.start_answered(worker, first.session, {first.attempt.key()},
                                                 absl::DeadlineExceededError("hung"), cluster.now));
  cluster.advance(300ms);

  REQUIRE(cluster.dispatched.size() == 2);
  CHECK(cluster.dispatched[1].attempt.key().attempt() == 1);
  CHECK(cluster.dispatched[1].worker_id == worker);
}

TEST_CASE("a full queue refuses and says when to come back") {
  SchedulerConfig::Scheduling config;
  config.max_queued = 2;
  ClusterOfFakes cluster(config);

  cluster.submit(spec_for());
  cluster.submit(spec_for());
  const CallId third = cluster.submit(spec_for());

  CHECK(absl::IsResourceExhausted(cluster.reply(third)->status()));
  CHECK(retry_delay_of(cluster.reply(third)->status()).has_value());
  CHECK(cluster.store.jobs().size() == 2);
}

TEST_CASE("waiting ends with the job, or with the time") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 2);
  cluster.submit(spec_for("w"));
  cluster.say_started(worker, "job-1");
  v1::WaitJobRequest request;
  request.set_job_id("job-1");
  request.mutable_timeout()->set_seconds(5);

  cluster.apply(cluster.scheduler.wait(50, request, cluster.now));
  cluster.advance(5s);
  CHECK(cluster.job_reply(50).state() == v1::Job::RUNNING);
  cluster.apply(cluster.scheduler.wait(51, request, cluster.now));
  CHECK(cluster.reply(51) == nullptr);
  cluster.say_ended(worker, "job-1", 0);
  CHECK(cluster.job_reply(51).state() == v1::Job::SUCCEEDED);
  cluster.apply(cluster.scheduler.wait(52, request, cluster.now));
  CHECK(cluster.job_reply(52).state() == v1::Job::SUCCEEDED);
}

TEST_CASE("reads show the names of environment variables, not their values") {
  ClusterOfFakes cluster;
  v1::JobSpec spec = spec_for();
  (*spec.mutable_env())["TOKEN"] = "secret";

  const CallId call = cluster.submit(spec);

  CHECK(cluster.job_reply(call).spec().env().at("TOKEN").empty());
  CHECK(cluster.stored("job-1")->spec().env().at("TOKEN") == "secret");
}

TEST_CASE("a repeated call with its key makes no second job; another message is refused") {
  ClusterOfFakes cluster;
  const CallId first = cluster.submit(spec_for(), "key", "digest");

  const CallId again = cluster.submit(spec_for(), "key", "digest");
  const CallId other = cluster.submit(spec_for(), "key", "another digest");

  CHECK(cluster.job_reply(again).job_id() == cluster.job_reply(first).job_id());
  CHECK(absl::IsAlreadyExists(cluster.reply(other)->status()));
  CHECK(cluster.store.jobs().size() == 1);
}

TEST_CASE("a repetition of a directed call waits with it, and hears the same refusal") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  const CallId first = cluster.submit(spec_for("w"), "key", "digest");
  const CallId again = cluster.submit(spec_for("w"), "key", "digest");
  CHECK(cluster.reply(again) == nullptr);

  cluster.refuse(worker, "job-1", invalid_field("path", "no such script"));

  CHECK(absl::IsInvalidArgument(cluster.reply(first)->status()));
  CHECK(absl::IsInvalidArgument(cluster.reply(again)->status()));
  CHECK_FALSE(cluster.store.find_idempotency("key")->has_value());
  const CallId later = cluster.submit(spec_for("w"), "key", "digest");
  cluster.say_started(worker, "job-3");
  CHECK(cluster.job_reply(later).state() == v1::Job::RUNNING);
}

}  // namespace
}  // namespace clusterd
