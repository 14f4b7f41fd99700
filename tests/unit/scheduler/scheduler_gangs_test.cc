#include <catch2/catch.hpp>
#include <random>

#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/field_error.h"
#include "support/cluster_of_fakes.h"

namespace clusterd {
namespace {

using std::chrono_literals::operator""s;

v1::JobSpec gang_of(uint32_t size, uint32_t slots = 1) {
  v1::JobSpec spec = spec_for("", slots);
  spec.mutable_gang()->set_size(size);
  return spec;
}

class ClusterOfGangs : public ClusterOfFakes {
 public:
  ClusterOfGangs() { features = {"gangs"}; }
};

std::string worker_of(ClusterOfFakes& cluster, const std::string& job) {
  return cluster.query(job).worker_id();
}

TEST_CASE("all tasks of a gang start at once, and each is told of all", "[gang]") {
  ClusterOfGangs cluster;
  cluster.join("one", 2);
  cluster.submit(gang_of(4));

  CHECK(cluster.dispatched.empty());
  CHECK(cluster.query("job-1").pending_reason() ==
        "needs 4 slots at once, 2 are free, and all workers that take jobs have too little");
  cluster.join("two", 2);
  REQUIRE(cluster.dispatched.size() == 4);
  std::vector<std::string> names;
  for (const Dispatch& order : cluster.dispatched) {
    names.push_back(cluster.worker(order.worker_id).name());
  }
  for (uint32_t rank = 0; rank < 4; ++rank) {
    const v1::StartAttempt& attempt = cluster.dispatched[rank].attempt;
    CHECK(attempt.key().job_id() == task_id("job-1", rank));
    CHECK(attempt.task_index() == rank);
    CHECK(attempt.task_count() == 4);
    CHECK(std::vector<std::string>(attempt.peers().begin(), attempt.peers().end()) == names);
  }
}

TEST_CASE("a waiting gang says what it lacks", "[gang]") {
  ClusterOfGangs cluster;
  cluster.join("w", 8);
  for (int i = 0; i < 3; ++i) cluster.submit(spec_for());
  cluster.submit(gang_of(4, 2));

  CHECK(cluster.explain("job-4").summary() == "needs 8 slots at once, 4 are free");
}

TEST_CASE("workers are kept for a gang that waits: smaller jobs behind it do not starve it",
          "[gang]") {
  ClusterOfGangs cluster;
  for (const char* name : {"w1", "w2"}) cluster.join(name, 2);
  for (int i = 0; i < 4; ++i) cluster.submit(spec_for());
  cluster.submit(gang_of(4));
  for (int i = 0; i < 4; ++i) cluster.submit(spec_for());

  for (int i = 1; i <= 4; ++i) {
    CHECK(cluster.dispatched.size() == 4);
    const std::string job = "job-" + std::to_string(i);
    const std::string worker = worker_of(cluster, job);
    cluster.say_started(worker, job);
    cluster.say_ended(worker, job, 0);
  }

  REQUIRE(cluster.dispatched.size() == 8);
  CHECK(cluster.dispatched[4].attempt.key().job_id() == "job-5.0");
}

TEST_CASE("two gangs that need all there is run one after the other", "[gang]") {
  ClusterOfGangs cluster;
  for (const char* name : {"w1", "w2", "w3"}) cluster.join(name, 1);
  cluster.submit(gang_of(3));
  cluster.submit(gang_of(3));

  CHECK(cluster.dispatched.size() == 3);
  for (const char* id : {"job-1.0", "job-1.1", "job-1.2"}) {
    const std::string worker = worker_of(cluster, id);
    cluster.say_started(worker, id);
    cluster.say_ended(worker, id, 0);
  }
  CHECK(cluster.query("job-1").state() == v1::Job::SUCCEEDED);
  CHECK(cluster.dispatched.size() == 6);
}

TEST_CASE("one that fails stops all others of its gang", "[gang]") {
  ClusterOfGangs cluster;
  const std::string worker = cluster.join("w", 3);
  cluster.submit(gang_of(3));
  cluster.say_started(worker, "job-1.0");
  cluster.say_started(worker, "job-1.1");
  cluster.say_ended(worker, "job-1.1", 7);

  REQUIRE(cluster.stops.size() == 2);
  CHECK(cluster.query("job-1.0").stop_requested().reason() == "rank 1 ended FAILED");
  CHECK(cluster.query("job-1").state() == v1::Job::RUNNING);
  for (const char* id : {"job-1.0", "job-1.2"}) {
    v1::JobEvent event;
    event.mutable_key()->set_job_id(id);
    event.mutable_key()->set_attempt(1);
    event.mutable_ended()->set_reason(v1::JobEnd::STOP_REQUESTED);
    cluster.send_event(worker, event);
  }

  const v1::Job gang = cluster.query("job-1");
  CHECK(gang.state() == v1::Job::FAILED);
  CHECK(gang.end().message() == "3 of 3 tasks did not succeed");
}

TEST_CASE("with CONTINUE one that fails leaves the others alone", "[gang]") {
  ClusterOfGangs cluster;
  const std::string worker = cluster.join("w", 2);
  v1::JobSpec spec = gang_of(2);
  spec.mutable_gang()->set_on_failure(v1::GangSpec::CONTINUE);
  cluster.submit(spec);
  for (const char* id : {"job-1.0", "job-1.1"}) cluster.say_started(worker, id);
  cluster.say_ended(worker, "job-1.0", 1);

  CHECK(cluster.stops.empty());
  cluster.say_ended(worker, "job-1.1", 0);
  CHECK(cluster.query("job-1").state() == v1::Job::FAILED);
}

TEST_CASE("a gang is not retried, and starts whole or not at all", "[gang]") {
  ClusterOfGangs cluster;
  cluster.submit(gang_of(2));
  v1::StopJobRequest stop;
  stop.set_job_id("job-1.1");
  const CallId one = cluster.next_call++;
  cluster.apply(cluster.scheduler.stop(one, stop, "me", {}, cluster.now));
  CHECK(absl::IsFailedPrecondition(cluster.reply(one)->status()));

  cluster.stop("job-1");
  v1::RetryJobRequest retry;
  retry.set_job_id("job-1");
  const CallId again = cluster.next_call++;
  cluster.apply(cluster.scheduler.retry(again, retry, {}, cluster.now));
  CHECK(absl::IsFailedPrecondition(cluster.reply(again)->status()));
}

TEST_CASE("a gang waits for its queue's cap as a whole, and those behind it with it", "[gang]") {
  ClusterOfGangs cluster;
  const std::string worker = cluster.join("w", 8);
  cluster.set_queue("a", 1, 3);
  const auto in_a = [](v1::JobSpec spec) {
    spec.set_queue("a");
    return spec;
  };
  cluster.submit(in_a(spec_for()));
  cluster.submit(in_a(gang_of(3)));
  cluster.submit(in_a(spec_for()));
  cluster.submit(in_a(gang_of(4)));

  CHECK(cluster.dispatched.size() == 1);
  CHECK(cluster.query("job-2").pending_reason() ==
        "queue a runs 1, its cap is 3, and 3 must start at once");
  CHECK(cluster.query("job-4").pending_reason() ==
        "queue a has a cap of 3 at one time, and 4 must start at once");
  cluster.say_started(worker, "job-1");
  cluster.say_ended(worker, "job-1", 0);
  CHECK(cluster.dispatched.size() == 4);
}

TEST_CASE("a worker that knows no gangs is given none", "[gang]") {
  ClusterOfFakes cluster;
  cluster.join("old", 8);
  cluster.submit(gang_of(2));

  CHECK(cluster.dispatched.empty());
  CHECK(cluster.explain("job-1").workers(0).reasons(0) == "knows no gangs");
}

TEST_CASE("a gang that names its worker must fit there", "[gang]") {
  ClusterOfGangs cluster;
  cluster.join("w", 4);
  cluster.join("other", 4);
  v1::JobSpec spec = gang_of(5);
  spec.set_worker_id("w");
  const absl::Status refused = cluster.reply(cluster.submit(spec))->status();
  CHECK(field_of(refused) == "gang.size");

  spec.mutable_gang()->set_size(4);
  cluster.submit(spec);
  CHECK(cluster.dispatched.size() == 4);
}

TEST_CASE("a gang with units: no two of its tasks share one", "[gang]") {
  ClusterOfGangs cluster;
  cluster.units = {{"gpu", 2}};
  for (const char* name : {"w1", "w2"}) cluster.join(name, 8);
  v1::JobSpec spec = gang_of(4);
  (*spec.mutable_resources()->mutable_custom())["gpu"] = 1;
  cluster.submit(spec);

  REQUIRE(cluster.dispatched.size() == 4);
  std::set<std::pair<std::string, uint32_t>> given;
  for (const Dispatch& order : cluster.dispatched) {
    given.emplace(order.worker_id, order.attempt.units(0).ids(0));
  }
  CHECK(given.size() == 4);
}

TEST_CASE("after a restart a start that is sent again tells of those that ended too", "[gang]") {
  ClusterOfGangs before;
  const std::string one = before.join("one", 1);
  const std::string two = before.join("two", 1);
  v1::JobSpec spec = gang_of(2);
  spec.mutable_gang()->set_on_failure(v1::GangSpec::CONTINUE);
  before.submit(spec);
  REQUIRE(before.dispatched.size() == 2);
  const std::string first = before.dispatched[0].worker_id;
  const std::string second = before.dispatched[1].worker_id;
  const auto peers = before.dispatched[1].attempt.peers();
  before.say_started(first, "job-1.0");
  before.say_ended(first, "job-1.0", 0);

  std::vector<v1::Job> jobs;
  for (const auto& [id, job] : before.store.jobs()) jobs.push_back(job);
  ClusterOfFakes after({}, jobs, before.store.workers());
  after.features = {"gangs"};
  after.open_session(second);

  REQUIRE(after.dispatched.size() == 1);
  CHECK(after.dispatched[0].attempt.key().job_id() == "job-1.1");
  CHECK(std::vector<std::string>(after.dispatched[0].attempt.peers().begin(),
                                 after.dispatched[0].attempt.peers().end()) ==
        std::vector<std::string>(peers.begin(), peers.end()));
}

TEST_CASE("gangs of mixed sizes whose tasks fail at random all end", "[gang]") {
  ClusterOfGangs cluster;
  std::mt19937_64 random(3);
  for (const char* name : {"w1", "w2", "w3", "w4"}) cluster.join(name, 5);
  constexpr int kGangs = 60;
  for (int i = 0; i < kGangs; ++i) {
    v1::JobSpec spec = gang_of(1 + static_cast<uint32_t>(random() % 20));
    if (random() % 2 == 0) spec.mutable_gang()->set_on_failure(v1::GangSpec::CONTINUE);
    cluster.submit(spec);
  }

  for (size_t next = 0; next < cluster.dispatched.size();) {
    // One of those that were given out and have not ended.
    const size_t chosen = next + random() % (cluster.dispatched.size() - next);
    std::swap(cluster.dispatched[next], cluster.dispatched[chosen]);
    const std::string worker = cluster.dispatched[next].worker_id;
    const std::string job = cluster.dispatched[next].attempt.key().job_id();
    ++next;
    cluster.say_started(worker, job);
    cluster.say_ended(worker, job, random() % 10 == 0 ? 1 : 0);
  }

  for (int i = 1; i <= kGangs; ++i) {
    const v1::Job gang = cluster.query("job-" + std::to_string(i));
    INFO(gang.ShortDebugString());
    CHECK(is_final(gang.state()));
  }
}

}  // namespace
}  // namespace clusterd
