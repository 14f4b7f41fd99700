#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>

#include "core/field_error.h"
#include "support/cluster_of_fakes.h"

using namespace clusterd;
using namespace std::chrono_literals;

namespace {

CallId register_original(ClusterOfFakes& cluster, v1::Worker::Protocol protocol,
                         const std::string& name, const std::string& address,
                         const std::string& id) {
  const CallId call = cluster.next_call++;
  cluster.apply(
      cluster.scheduler.register_original(call, {protocol, name, address, id}, cluster.now));
  return call;
}

// A member that is ALIVE. Returns its id.
std::string join_original(ClusterOfFakes& cluster, v1::Worker::Protocol protocol,
                          const std::string& name, const std::string& address = "a:1",
                          const std::string& id = "") {
  const std::string worker_id = id.empty() ? "id-of-" + name : id;
  REQUIRE(cluster.reply(register_original(cluster, protocol, name, address, worker_id))->ok());
  cluster.open_original_session(worker_id);
  cluster.answer_call_back(worker_id);
  REQUIRE(cluster.worker(worker_id).state() == v1::Worker::ALIVE);
  return worker_id;
}

v1::JobSpec task_spec(const std::string& payload) {
  v1::JobSpec spec;
  spec.set_path("count.sh");
  spec.set_payload(payload);
  return spec;
}

CallId submit_task(ClusterOfFakes& cluster, const std::string& id, v1::JobSpec spec) {
  const CallId call = cluster.next_call++;
  SubmitOrder order{.job_id = "job-of-" + id, .spec = std::move(spec)};
  order.external_id = id;
  cluster.apply(cluster.scheduler.submit(call, std::move(order), cluster.now));
  return call;
}

absl::Status complete(ClusterOfFakes& cluster, const std::string& task_id,
                      const std::optional<std::string>& error = {}) {
  const CallId call = cluster.next_call++;
  cluster.apply(cluster.scheduler.complete_task(call, task_id, error, cluster.now));
  REQUIRE(cluster.reply(call) != nullptr);
  return cluster.reply(call)->status();
}

absl::Status cancel(ClusterOfFakes& cluster, const std::string& task_id) {
  const CallId call = cluster.next_call++;
  cluster.apply(cluster.scheduler.cancel_task(call, task_id, "go-work", cluster.now));
  REQUIRE(cluster.reply(call) != nullptr);
  return cluster.reply(call)->status();
}

void start_on(ClusterOfFakes& cluster, const std::string& worker_id, const std::string& job_id,
              const std::string& remote_id) {
  v1::JobEvent event;
  event.mutable_key()->set_job_id(job_id);
  event.mutable_key()->set_attempt(1);
  event.mutable_started()->set_remote_id(remote_id);
  cluster.send_event(worker_id, event);
}

const Dispatch& last_dispatch(const ClusterOfFakes& cluster) {
  REQUIRE(!cluster.dispatched.empty());
  return cluster.dispatched.back();
}

}  // namespace

TEST_CASE("a worker of another protocol is a member like any other", "[originals]") {
  ClusterOfFakes cluster;
  const std::string id =
      join_original(cluster, v1::Worker::JOBSCHEDULER, "10.0.0.1:30000", "10.0.0.1:30000");
  const v1::Worker worker = cluster.worker(id);
  CHECK(worker.protocol() == v1::Worker::JOBSCHEDULER);
  CHECK(worker.labels().at("protocol") == "jobscheduler");
  CHECK(worker.capacity().slots() == 16);

  const CallId directed = cluster.submit(spec_for(id));
  start_on(cluster, id, "job-1", "theirs");

  CHECK(cluster.job_reply(directed).state() == v1::Job::RUNNING);
  CHECK(cluster.stored("job-1")->attempts(0).remote_id() == "theirs");
  cluster.submit(spec_for(""));
  CHECK(last_dispatch(cluster).worker_id == id);
}

TEST_CASE("what such a worker cannot do is refused at submit", "[originals]") {
  ClusterOfFakes cluster;
  const std::string id = join_original(cluster, v1::Worker::JOBSCHEDULER, "old");
  v1::JobSpec spec = spec_for(id);
  spec.add_args("5");

  const CallId call = cluster.submit(spec);

  CHECK(absl::IsInvalidArgument(cluster.reply(call)->status()));
  CHECK(field_of(cluster.reply(call)->status()) == "args");
  CHECK_FALSE(cluster.stored("job-1"));
}

TEST_CASE("a script of a job for a worker of ours lies below its scripts folder", "[originals]") {
  ClusterOfFakes cluster;
  const std::string own = cluster.join("w1", 1);
  const std::string old = join_original(cluster, v1::Worker::JOBSCHEDULER, "old");
  v1::JobSpec spec = spec_for(own);
  spec.set_path("/opt/a.sh");

  const CallId refused = cluster.submit(spec);
  spec.set_worker_id(old);
  cluster.submit(spec);

  CHECK(field_of(cluster.reply(refused)->status()) == "path");
  CHECK(last_dispatch(cluster).worker_id == old);
}

TEST_CASE("a queued job goes to a worker of ours where one has room", "[originals]") {
  ClusterOfFakes cluster;
  const std::string old = join_original(cluster, v1::Worker::JOBSCHEDULER, "old");
  const std::string own = cluster.join("w1", 1);

  cluster.submit(spec_for(""));
  CHECK(last_dispatch(cluster).worker_id == own);
  cluster.submit(spec_for(""));
  CHECK(last_dispatch(cluster).worker_id == old);

  v1::JobSpec with_env = spec_for("");
  (*with_env.mutable_env())["A"] = "b";
  const size_t sent = cluster.dispatched.size();
  cluster.submit(with_env);
  CHECK(cluster.dispatched.size() == sent);  // waits for a worker that can
}

TEST_CASE("payloads go to go-work workers where the cluster has any, other jobs where it has none",
          "[originals]") {
  ClusterOfFakes cluster;
  const std::string go = join_original(cluster, v1::Worker::GO_WORK, "WORKER_1");

  cluster.submit(spec_for(""));
  CHECK(last_dispatch(cluster).worker_id == go);  // there is no other
  CHECK(complete(cluster, "job-1").ok());
  const std::string own = cluster.join("w1", 8);
  cluster.submit(spec_for(""));
  CHECK(last_dispatch(cluster).worker_id == own);
  submit_task(cluster, "t1", task_spec("do some work"));
  CHECK(last_dispatch(cluster).worker_id == go);
  submit_task(cluster, "t2", task_spec("do some work"));
  CHECK(last_dispatch(cluster).attempt.key().job_id() == "job-of-t1");  // t2 waits for it
}

TEST_CASE("a payload runs here as a script where no go-work worker is a member", "[originals]") {
  ClusterOfFakes cluster;
  const std::string own = cluster.join("w1", 8);

  submit_task(cluster, "t1", task_spec("count.sh 5"));
  CHECK(last_dispatch(cluster).worker_id == own);

  v1::JobSpec bare;
  bare.set_payload("do 'some work");
  const CallId call = submit_task(cluster, "t2", bare);
  CHECK(field_of(cluster.reply(call)->status()) == "path");
}

TEST_CASE("a duplicate external id is refused as long as its job is kept", "[originals]") {
  ClusterOfFakes cluster;
  cluster.join("w1", 8);
  REQUIRE(cluster.reply(submit_task(cluster, "t1", task_spec("a")))->ok());

  SECTION("while it runs") {}
  SECTION("after it has ended") {
    cluster.say_started("id-of-w1", "job-of-t1");
    cluster.say_ended("id-of-w1", "job-of-t1", 0);
  }
  v1::JobSpec again = task_spec("b");
  const CallId call = cluster.next_call++;
  SubmitOrder order{.job_id = "another", .spec = again};
  order.external_id = "t1";
  cluster.apply(cluster.scheduler.submit(call, std::move(order), cluster.now));

  CHECK(absl::IsAlreadyExists(cluster.reply(call)->status()));
  CHECK_FALSE(cluster.stored("another"));
}

TEST_CASE("two tasks of one id that come at the same time are one", "[originals]") {
  ClusterOfFakes cluster;
  cluster.join("w1", 8);
  const auto submit = [&cluster](const std::string& job_id, CallId call) {
    SubmitOrder order{.job_id = job_id, .spec = task_spec("a")};
    order.external_id = "t1";
    return cluster.scheduler.submit(call, std::move(order), cluster.now);
  };
  Decision first = submit("one", 101);
  Decision second = submit("two", 102);  // both have asked the store by now

  cluster.apply(std::move(first));
  cluster.apply(std::move(second));

  CHECK(cluster.reply(101)->ok());
  CHECK(absl::IsAlreadyExists(cluster.reply(102)->status()));
}

TEST_CASE("a worker's word ends its task, once", "[originals]") {
  ClusterOfFakes cluster;
  const std::string go = join_original(cluster, v1::Worker::GO_WORK, "WORKER_1");
  submit_task(cluster, "t1", task_spec("a"));
  start_on(cluster, go, "job-of-t1", "t1");

  CHECK(complete(cluster, "t1", "boom").ok());
  CHECK(complete(cluster, "t1").ok());

  const v1::Job job = *cluster.stored("job-of-t1");
  CHECK(job.state() == v1::Job::FAILED);
  CHECK(job.end().message() == "boom");
  CHECK_FALSE(job.end().has_exit_code());
  CHECK(cluster.worker(go).jobs() == 0);
}

TEST_CASE("a worker's word does not end what it does not run", "[originals]") {
  ClusterOfFakes cluster;
  CHECK(absl::IsNotFound(complete(cluster, "t1")));
  cluster.join("w1", 8);
  submit_task(cluster, "t1", task_spec("a"));
  cluster.say_started("id-of-w1", "job-of-t1");

  CHECK(absl::IsFailedPrecondition(complete(cluster, "t1")));
  CHECK(cluster.query("job-of-t1").state() == v1::Job::RUNNING);
}

TEST_CASE("a cancel is final, and the worker is not given another task before it has stopped",
          "[originals]") {
  ClusterOfFakes cluster;
  const std::string go = join_original(cluster, v1::Worker::GO_WORK, "WORKER_1");
  submit_task(cluster, "t1", task_spec("a"));
  start_on(cluster, go, "job-of-t1", "t1");
  submit_task(cluster, "t2", task_spec("b"));
  const size_t sent = cluster.dispatched.size();

  CHECK(cancel(cluster, "t1").ok());
  CHECK(cluster.stops.size() == 1);
  CHECK(cluster.dispatched.size() == sent);
  v1::JobEvent ended;
  ended.mutable_key()->set_job_id("job-of-t1");
  ended.mutable_key()->set_attempt(1);
  ended.mutable_ended()->set_reason(v1::JobEnd::STOP_REQUESTED);
  cluster.send_event(go, ended);

  CHECK(last_dispatch(cluster).attempt.key().job_id() == "job-of-t2");
  CHECK(complete(cluster, "t1").ok());  // too late
  CHECK(cluster.stored("job-of-t1")->state() == v1::Job::STOPPED);
  CHECK(cancel(cluster, "t1").ok());  // ended: nothing to do
  CHECK(absl::IsNotFound(cancel(cluster, "none")));
}

TEST_CASE("a worker that is at work for somebody else is given nothing", "[originals]") {
  ClusterOfFakes cluster;
  const std::string go = join_original(cluster, v1::Worker::GO_WORK, "WORKER_1");
  cluster.heartbeat(go, "works on something that is not from here");

  submit_task(cluster, "t1", task_spec("a"));
  CHECK(cluster.dispatched.empty());
  cluster.heartbeat(go, "");

  CHECK(cluster.dispatched.size() == 1);
}

TEST_CASE("the id of a worker that was killed never answers for the next at its address",
          "[originals]") {
  ClusterOfFakes cluster;
  const std::string first = join_original(cluster, v1::Worker::JOBSCHEDULER, "a:1", "a:1", "first");
  cluster.submit(spec_for(first));
  start_on(cluster, first, "job-1", "theirs");

  const std::string second =
      join_original(cluster, v1::Worker::JOBSCHEDULER, "a:1", "a:1", "second");

  CHECK(cluster.stored("job-1")->state() == v1::Job::LOST);
  CHECK(cluster.worker(first).state() == v1::Worker::LEFT);
  CHECK(cluster.worker(second).name() == "a:1");
  CHECK(absl::IsNotFound(cluster.reply(cluster.submit(spec_for(first)))->status()));
}

TEST_CASE("a go-work worker that joins again is the same member, and what it ran is lost",
          "[originals]") {
  ClusterOfFakes cluster;
  const std::string id = join_original(cluster, v1::Worker::GO_WORK, "WORKER_1", "a:1");
  submit_task(cluster, "t1", task_spec("a"));
  start_on(cluster, id, "job-of-t1", "t1");

  REQUIRE(cluster.reply(register_original(cluster, v1::Worker::GO_WORK, "WORKER_1", "b:1", "new"))
              ->ok());

  CHECK(cluster.stored("job-of-t1")->state() == v1::Job::LOST);
  CHECK(cluster.worker("WORKER_1").worker_id() == id);
  CHECK(cluster.worker(id).address() == "b:1");
}

TEST_CASE("nobody joins under the name of a worker of another protocol", "[originals]") {
  ClusterOfFakes cluster;
  const std::string own = cluster.join("w1", 1);

  for (const std::string& name : {std::string("w1"), own}) {
    const CallId call = register_original(cluster, v1::Worker::GO_WORK, name, "b:1", "new");
    CHECK(absl::IsAlreadyExists(cluster.reply(call)->status()));
  }
  CHECK(cluster.worker("w1").state() == v1::Worker::ALIVE);
}

TEST_CASE("a worker that leaves takes its jobs along, and only one of its protocol can",
          "[originals]") {
  ClusterOfFakes cluster;
  const std::string own = cluster.join("w1", 1);
  const std::string go = join_original(cluster, v1::Worker::GO_WORK, "WORKER_1");
  submit_task(cluster, "t1", task_spec("a"));
  start_on(cluster, go, "job-of-t1", "t1");
  const auto leave = [&cluster](const std::string& name) {
    const CallId call = cluster.next_call++;
    cluster.apply(cluster.scheduler.leave_original(call, v1::Worker::GO_WORK, name, cluster.now));
    return cluster.reply(call)->status();
  };

  CHECK(absl::IsNotFound(leave("w1")));
  CHECK(leave("WORKER_1").ok());
  CHECK(absl::IsNotFound(leave("WORKER_1")));

  CHECK(cluster.stored("job-of-t1")->state() == v1::Job::LOST);
  CHECK(cluster.worker(go).state() == v1::Worker::LEFT);
  CHECK(cluster.worker(own).state() == v1::Worker::ALIVE);
}

TEST_CASE("an address that another process has is lost, and so is what ran there", "[originals]") {
  ClusterOfFakes cluster;
  const std::string id = join_original(cluster, v1::Worker::JOBSCHEDULER, "a:1");
  cluster.submit(spec_for(id));
  start_on(cluster, id, "job-1", "theirs");

  cluster.apply(cluster.scheduler.original_gone(id, "another process answers", cluster.now));

  CHECK(cluster.worker(id).state() == v1::Worker::LOST);
  CHECK(cluster.stored("job-1")->state() == v1::Job::LOST);
  CHECK(absl::IsUnavailable(cluster.reply(cluster.submit(spec_for(id)))->status()));
}

TEST_CASE("a restart of the scheduler remembers members and what they run", "[originals]") {
  ClusterOfFakes before;
  const std::string old = join_original(before, v1::Worker::JOBSCHEDULER, "old", "a:1");
  const std::string go = join_original(before, v1::Worker::GO_WORK, "WORKER_1", "b:1");
  before.submit(spec_for(old));
  start_on(before, old, "job-1", "theirs");
  before.submit(spec_for(old));  // its order is not answered
  submit_task(before, "t1", task_spec("a"));
  std::vector<v1::Job> jobs;
  before.store.visit_jobs([&jobs](const v1::Job& job) { jobs.push_back(job); });

  ClusterOfFakes after({}, jobs, before.store.workers());
  REQUIRE(after.admitted.size() == 2);
  const AdmitOriginal& remembered =
      *std::find_if(after.admitted.begin(), after.admitted.end(),
                    [&old](const AdmitOriginal& one) { return one.worker.worker_id() == old; });
  CHECK(remembered.remembered);
  REQUIRE(remembered.held.size() == 1);
  CHECK(remembered.held[0].remote_id() == "theirs");
  const AdmitOriginal& other =
      *std::find_if(after.admitted.begin(), after.admitted.end(),
                    [&go](const AdmitOriginal& one) { return one.worker.worker_id() == go; });
  REQUIRE(other.held.size() == 1);
  CHECK(other.held[0].remote_id() == "t1");

  after.open_original_session(old, remembered.held, "epoch 2");
  CHECK(after.query("job-1").state() == v1::Job::RUNNING);
  CHECK(after.query("job-2").state() == v1::Job::LOST);  // nobody knows; never sent again
  CHECK(after.dispatched.empty());
}

TEST_CASE("output of a job with such a worker cannot be read, and is nobody's to delete",
          "[originals]") {
  ClusterOfFakes cluster;
  const std::string id = join_original(cluster, v1::Worker::JOBSCHEDULER, "old");
  cluster.submit(spec_for(id));
  start_on(cluster, id, "job-1", "theirs");
  OutputQuery query;
  query.request.set_job_id("job-1");

  const CallId call = cluster.next_call++;
  cluster.apply(cluster.scheduler.locate_output(call, query, cluster.now));
  CHECK(absl::IsUnimplemented(cluster.reply(call)->status()));

  cluster.say_ended(id, "job-1", 0);
  v1::DeleteJobRequest request;
  request.set_job_id("job-1");
  cluster.apply(cluster.scheduler.erase(cluster.next_call++, request, {}, cluster.now));
  CHECK(cluster.store.find_doomed(id, 10)->empty());
}
