#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <set>

#include "core/field_error.h"
#include "support/cluster_of_fakes.h"

namespace clusterd {
namespace {

v1::JobSpec in_queue(const std::string& queue, uint32_t slots = 1) {
  v1::JobSpec spec = spec_for("", slots);
  spec.set_queue(queue);
  return spec;
}

absl::Status pause(ClusterOfFakes& cluster, const std::string& name, const std::string& why = "") {
  v1::PauseQueueRequest request;
  request.set_name(name);
  request.set_reason(why);
  const CallId call = cluster.next_call++;
  cluster.apply(cluster.scheduler.pause_queue(call, request, {}, cluster.now));
  return cluster.reply(call)->status();
}

absl::Status resume(ClusterOfFakes& cluster, const std::string& name) {
  v1::ResumeQueueRequest request;
  request.set_name(name);
  const CallId call = cluster.next_call++;
  cluster.apply(cluster.scheduler.resume_queue(call, request, {}, cluster.now));
  return cluster.reply(call)->status();
}

absl::Status forget(ClusterOfFakes& cluster, const std::string& name) {
  v1::DeleteQueueRequest request;
  request.set_name(name);
  const CallId call = cluster.next_call++;
  cluster.apply(cluster.scheduler.delete_queue(call, request, {}, cluster.now));
  return cluster.reply(call)->status();
}

v1::ListQueuesResponse list(ClusterOfFakes& cluster) {
  const CallId call = cluster.next_call++;
  cluster.apply(cluster.scheduler.list_queues(call));
  return std::get<v1::ListQueuesResponse>(**cluster.reply(call));
}

// Jobs that run, by chance of any length: each step ends one of them.
class Load {
 public:
  explicit Load(ClusterOfFakes& cluster) : cluster_(cluster) { take_over(); }

  void end_some_job() {
    const size_t chosen = random_() % running_.size();
    const auto [worker, job] = running_[chosen];
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(chosen));
    cluster_.say_started(worker, job);
    cluster_.say_ended(worker, job, 0);
    take_over();
  }
  [[nodiscard]] bool runs() const { return !running_.empty(); }

 private:
  void take_over() {
    for (const Dispatch& order : cluster_.dispatched) {
      running_.emplace_back(order.worker_id, order.attempt.key().job_id());
    }
    cluster_.dispatched.clear();
  }

  ClusterOfFakes& cluster_;
  std::mt19937_64 random_{1};
  std::vector<std::pair<std::string, std::string>> running_;
};

TEST_CASE("two queues of weights 3:1 under full load share slots 3:1", "[queues]") {
  ClusterOfFakes cluster;
  cluster.set_queue("much", 3);
  cluster.set_queue("little", 1);
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    cluster.submit(in_queue("little", 1 + static_cast<uint32_t>(random() % 3)));
    cluster.submit(in_queue("much", 1 + static_cast<uint32_t>(random() % 3)));
  }
  for (const char* name : {"w1", "w2", "w3", "w4"}) cluster.join(name, 60);
  Load load(cluster);

  double much = 0;
  double little = 0;
  for (int i = 0; i < 1000; ++i) {
    load.end_some_job();
    much += static_cast<double>(cluster.queue("much").running_slots());
    little += static_cast<double>(cluster.queue("little").running_slots());
  }

  CHECK(std::abs(much / little - 3) < 0.15);
}

TEST_CASE("what one queue leaves goes to the other", "[queues]") {
  ClusterOfFakes cluster;
  cluster.set_queue("much", 3);
  for (int i = 0; i < 20; ++i) cluster.submit(in_queue("little"));
  cluster.submit(in_queue("much"));
  cluster.join("w", 8);

  CHECK(cluster.queue("much").running() == 1);
  CHECK(cluster.queue("little").running() == 7);
}

TEST_CASE("caps of queues hold at every instant", "[queues]") {
  ClusterOfFakes cluster;
  cluster.set_queue("a", 1, 3);
  cluster.set_queue("b", 5, 2);
  for (const char* name : {"w1", "w2"}) cluster.join(name, 4);
  for (int i = 0; i < 60; ++i) {
    cluster.submit(in_queue(i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : ""));
  }
  v1::JobSpec array = in_queue("a");
  array.mutable_array()->set_to(20);
  cluster.submit(array);
  Load load(cluster);

  uint64_t most_of_a = 0;
  while (load.runs()) {
    load.end_some_job();
    most_of_a = std::max(most_of_a, cluster.queue("a").running());
    REQUIRE(cluster.queue("a").running() <= 3);
    REQUIRE(cluster.queue("b").running() <= 2);
  }

  CHECK(most_of_a == 3);
  CHECK(cluster.queue("a").queued() == 0);
  CHECK(cluster.queue("default").queued() == 0);
}

TEST_CASE("a queue at its cap says so, and goes on with the next end", "[queues]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 4);
  cluster.set_queue("a", 1, 1);
  cluster.submit(in_queue("a"));
  cluster.submit(in_queue("a"));
  v1::JobSpec directed = spec_for("w");
  directed.set_queue("a");
  cluster.submit(directed);

  CHECK(cluster.dispatched.size() == 1);
  CHECK(cluster.query("job-2").pending_reason() == "queue a runs its cap of 1");
  CHECK(cluster.explain("job-3").summary() == "queue a runs its cap of 1");
  cluster.say_started(worker, "job-1");
  cluster.say_ended(worker, "job-1", 0);
  CHECK(cluster.dispatched.size() == 2);

  cluster.set_queue("a", 1, 0);
  CHECK(cluster.dispatched.size() == 3);
}

TEST_CASE("what comes behind a large job does not take its room below the cap", "[queues]") {
  ClusterOfFakes cluster;
  cluster.join("one", 2);
  cluster.join("two", 2);
  cluster.set_queue("capped", 1, 1);
  for (int i = 0; i < 4; ++i) cluster.submit(spec_for());
  cluster.submit(in_queue("capped", 2));  // job-5
  for (int i = 0; i < 3; ++i) cluster.submit(in_queue("capped"));
  for (int i = 0; i < 20; ++i) cluster.submit(spec_for());
  std::set<std::string> first;
  for (const Dispatch& order : cluster.dispatched) first.insert(order.attempt.key().job_id());
  REQUIRE(first == std::set<std::string>{"job-1", "job-2", "job-3", "job-4"});

  for (size_t i = 0; i < 10 && cluster.query("job-5").state() == v1::Job::QUEUED; ++i) {
    const Dispatch order = cluster.dispatched.at(i);
    cluster.say_started(order.worker_id, order.attempt.key().job_id());
    cluster.say_ended(order.worker_id, order.attempt.key().job_id(), 0);
  }

  CHECK(cluster.query("job-5").state() == v1::Job::STARTING);
  CHECK(cluster.query("job-6").state() == v1::Job::QUEUED);
}

TEST_CASE("more jobs at once than a queue may ever hold are refused for good", "[queues]") {
  ClusterOfFakes cluster;
  cluster.set_queue("short", 1, 0, 3);
  v1::JobSpec spec = in_queue("short");
  spec.mutable_gang()->set_size(4);

  const CallId call = cluster.submit(spec);

  REQUIRE_FALSE(cluster.reply(call)->ok());
  CHECK(absl::IsFailedPrecondition(cluster.reply(call)->status()));
  CHECK(field_of(cluster.reply(call)->status()) == "queue");
}

TEST_CASE("a paused queue starts nothing, what runs goes on, and jobs are accepted", "[queues]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 4);
  cluster.submit(in_queue("a"));
  REQUIRE(pause(cluster, "a", "maintenance").ok());
  cluster.submit(in_queue("a"));
  cluster.submit(in_queue("b"));

  CHECK(cluster.dispatched.size() == 2);
  CHECK(cluster.query("job-2").pending_reason() == "queue a is paused: maintenance");
  cluster.say_started(worker, "job-1");
  cluster.say_ended(worker, "job-1", 0);
  CHECK(cluster.query("job-1").state() == v1::Job::SUCCEEDED);
  CHECK(cluster.dispatched.size() == 2);
  cluster.set_queue("a", 9);  // paused all the same
  CHECK(cluster.queue("a").paused());
  CHECK(cluster.dispatched.size() == 2);

  REQUIRE(resume(cluster, "a").ok());
  CHECK(cluster.dispatched.size() == 3);
  CHECK(cluster.queue("a").reason().empty());
}

TEST_CASE("jobs above max_queued are refused with the queue, the number and the cap", "[queues]") {
  ClusterOfFakes cluster;
  cluster.set_queue("a", 1, 0, 3);
  v1::JobSpec array = in_queue("a");
  array.mutable_array()->set_to(1);
  cluster.submit(array);
  const CallId third = cluster.submit(in_queue("a"));
  const CallId fourth = cluster.submit(in_queue("a"));
  const CallId other = cluster.submit(in_queue("b"));

  CHECK(cluster.reply(third)->ok());
  CHECK(cluster.reply(other)->ok());
  const absl::Status refused = cluster.reply(fourth)->status();
  CHECK(absl::IsResourceExhausted(refused));
  CHECK(field_of(refused) == "queue");
  CHECK(retry_delay_of(refused).has_value());
  CHECK(std::string(refused.message()) ==
        "queue: \"a\" holds 3 jobs that wait, and its max_queued is 3");

  cluster.join("w", 1);
  CHECK(cluster.queue("a").queued() == 2);
  CHECK(cluster.reply(cluster.submit(in_queue("a")))->ok());
}

TEST_CASE("jobs without a queue are in the queue default", "[queues]") {
  ClusterOfFakes cluster;
  cluster.submit(spec_for());
  cluster.submit(in_queue("default"));
  v1::JobSpec broadcast = spec_for();
  broadcast.mutable_resources()->set_every_worker(true);

  CHECK(cluster.queue("default").queued() == 2);
  const std::string worker = cluster.join("w", 3);
  cluster.submit(broadcast);
  CHECK(cluster.queue("default").queued() == 0);
  CHECK(cluster.queue("default").running() == 3);
  REQUIRE(list(cluster).queues_size() == 1);
  for (const char* id : {"job-1", "job-2", "job-3.0"}) {
    cluster.say_started(worker, id);
    cluster.say_ended(worker, id, 0);
  }
  CHECK(list(cluster).queues_size() == 0);
}

TEST_CASE("a broadcast that has been given out does not count as queued", "[queues]") {
  SchedulerConfig::Scheduling scheduling;
  scheduling.max_queued = 2;
  ClusterOfFakes cluster(scheduling);
  cluster.join("w", 100);
  v1::JobSpec broadcast = spec_for();
  broadcast.mutable_resources()->set_every_worker(true);

  for (int i = 0; i < 5; ++i) CHECK(cluster.reply(cluster.submit(broadcast))->ok());
}

TEST_CASE("a queue that holds jobs is not forgotten", "[queues]") {
  ClusterOfFakes cluster;
  cluster.set_queue("a", 2, 5);
  cluster.submit(in_queue("a"));

  CHECK(absl::IsFailedPrecondition(forget(cluster, "a")));
  cluster.stop("job-1");
  CHECK(forget(cluster, "a").ok());
  CHECK(absl::IsNotFound(forget(cluster, "a")));
  CHECK(absl::IsNotFound(resume(cluster, "a")));
  CHECK(cluster.queue("default").weight() == 1);
}

TEST_CASE("bad names and weights of queues are refused with their field", "[queues]") {
  ClusterOfFakes cluster;
  const auto refusal = [&cluster](const std::string& name, uint32_t weight) {
    v1::SetQueueRequest request;
    request.mutable_queue()->set_name(name);
    request.mutable_queue()->set_weight(weight);
    const CallId call = cluster.next_call++;
    cluster.apply(cluster.scheduler.set_queue(call, request, {}, cluster.now));
    return cluster.reply(call)->status();
  };

  CHECK(field_of(refusal("", 1)) == "queue.name");
  CHECK(field_of(refusal("a b", 1)) == "queue.name");
  CHECK(field_of(refusal(std::string(129, 'a'), 1)) == "queue.name");
  CHECK(field_of(refusal("a", 1001)) == "queue.weight");
  CHECK(refusal("a", 0).ok());
  CHECK(cluster.queue("a").weight() == 1);
  CHECK(field_of(pause(cluster, "", "")) == "name");
}

TEST_CASE("queues are there again in the next term, and what runs counts", "[queues]") {
  ClusterOfFakes cluster;
  cluster.join("w", 2);
  cluster.set_queue("a", 3, 1, 10);
  REQUIRE(pause(cluster, "b", "later").ok());
  for (int i = 0; i < 3; ++i) cluster.submit(in_queue("a", 2));
  cluster.submit(in_queue("b"));

  Scheduler next({}, *cluster.store.begin_term(), cluster.now);
  (void)next.begin(cluster.now);
  const Decision view = next.list_queues(1);
  const auto queues =
      std::get<v1::ListQueuesResponse>(*std::get<Reply>(view.effects.at(0)).answer).queues();

  REQUIRE(queues.size() == 2);
  CHECK(queues[0].name() == "a");
  CHECK(queues[0].weight() == 3);
  CHECK(queues[0].max_running() == 1);
  CHECK(queues[0].max_queued() == 10);
  CHECK(queues[0].running() == 1);
  CHECK(queues[0].running_slots() == 2);
  CHECK(queues[0].queued() == 2);
  CHECK(queues[1].paused());
  CHECK(queues[1].reason() == "later");
  CHECK(queues[1].queued() == 1);
}

TEST_CASE("setting a queue up twice with one request id does it once", "[queues]") {
  ClusterOfFakes cluster;
  v1::SetQueueRequest request;
  request.mutable_queue()->set_name("a");
  request.mutable_queue()->set_weight(2);
  const auto ask = [&](const std::string& sha256) {
    const CallId call = cluster.next_call++;
    cluster.apply(cluster.scheduler.set_queue(call, request, {"key", sha256}, cluster.now));
    return *cluster.reply(call);
  };

  REQUIRE(ask("1").ok());
  cluster.set_queue("a", 7);
  CHECK(std::get<v1::Queue>(*ask("1")).weight() == 7);
  CHECK(absl::IsAlreadyExists(ask("2").status()));
}

}  // namespace
}  // namespace clusterd
