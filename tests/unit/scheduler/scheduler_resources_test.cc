#include <catch2/catch.hpp>

#include "core/field_error.h"
#include "support/cluster_of_fakes.h"

namespace clusterd {
namespace {

v1::JobSpec with_units(const std::string& name, uint32_t count) {
  v1::JobSpec spec = spec_for();
  (*spec.mutable_resources()->mutable_custom())[name] = count;
  return spec;
}

v1::JobSpec exclusive() {
  v1::JobSpec spec = spec_for();
  spec.mutable_resources()->set_exclusive(true);
  return spec;
}

v1::JobSpec preferring(const std::string& match, int32_t weight) {
  v1::JobSpec spec = spec_for();
  spec.add_prefer()->set_match(match);
  spec.mutable_prefer(0)->set_weight(weight);
  return spec;
}

v1::JobSpec tolerating(const std::string& taint) {
  v1::JobSpec spec = spec_for();
  if (!taint.empty()) spec.add_tolerate(taint);
  return spec;
}

// The ids of one resource that an order brings, as the job is told.
std::vector<uint32_t> ids_of(const Dispatch& order, const std::string& name) {
  for (const v1::AssignedUnits& units : order.attempt.units()) {
    if (units.name() == name) return {units.ids().begin(), units.ids().end()};
  }
  return {};
}

void run_to_end(ClusterOfFakes& cluster, const std::string& worker, const std::string& job) {
  cluster.say_started(worker, job);
  cluster.say_ended(worker, job, 0);
}

std::string reason_against(ClusterOfFakes& cluster, const std::string& job) {
  const v1::ExplainJobResponse answer = cluster.explain(job);
  REQUIRE(answer.workers_size() == 1);
  return answer.workers(0).reasons().empty() ? "" : answer.workers(0).reasons(0);
}

TEST_CASE("no unit of a counted resource is given to two jobs at a time", "[resources]") {
  ClusterOfFakes cluster;
  cluster.units = {{"gpu", 4}};
  const std::string worker = cluster.join("w", 10);
  cluster.submit(with_units("gpu", 1));
  cluster.submit(with_units("gpu", 2));
  cluster.submit(with_units("gpu", 2));

  REQUIRE(cluster.dispatched.size() == 2);
  CHECK(ids_of(cluster.dispatched[0], "gpu") == std::vector<uint32_t>{0});
  CHECK(ids_of(cluster.dispatched[1], "gpu") == std::vector<uint32_t>{1, 2});
  CHECK(cluster.worker("w").in_use().custom().at("gpu") == 3);
  CHECK(reason_against(cluster, "job-3") == "needs 2 gpu, 1 of 4 are free");

  run_to_end(cluster, worker, "job-1");
  REQUIRE(cluster.dispatched.size() == 3);
  CHECK(ids_of(cluster.dispatched[2], "gpu") == std::vector<uint32_t>{0, 3});
  run_to_end(cluster, worker, "job-2");
  run_to_end(cluster, worker, "job-3");
  CHECK(cluster.worker("w").in_use().custom().empty());
}

TEST_CASE("units in use are known again after a restart of the scheduler", "[resources]") {
  ClusterOfFakes before;
  before.units = {{"gpu", 3}};
  before.join("w", 10);
  before.submit(with_units("gpu", 2));
  const auto stored = before.stored("job-1");
  REQUIRE(stored);
  REQUIRE(stored->attempts(0).units_size() == 1);

  ClusterOfFakes after({}, {*stored}, before.store.workers());
  after.units = {{"gpu", 3}};
  v1::HeldAttempt held;
  held.mutable_key()->set_job_id("job-1");
  held.mutable_key()->set_attempt(1);
  held.set_started(true);
  after.open_session("id-of-w", {held});
  after.answer_call_back("id-of-w");
  after.submit(with_units("gpu", 1));
  after.submit(with_units("gpu", 1));

  REQUIRE(after.dispatched.size() == 1);
  CHECK(ids_of(after.dispatched[0], "gpu") == std::vector<uint32_t>{2});
}

TEST_CASE("a start that is sent again brings the same units", "[resources]") {
  ClusterOfFakes cluster;
  cluster.units = {{"gpu", 3}};
  const std::string worker = cluster.join("w", 10);
  cluster.submit(with_units("gpu", 2));
  cluster.open_session(worker);

  REQUIRE(cluster.dispatched.size() == 2);
  CHECK(ids_of(cluster.dispatched[1], "gpu") == std::vector<uint32_t>{0, 1});
}

TEST_CASE("an exclusive job runs alone on its worker", "[resources]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 4);
  cluster.submit(spec_for());
  cluster.submit(exclusive());
  cluster.submit(spec_for());  // the worker is kept for the one before

  REQUIRE(cluster.dispatched.size() == 1);
  CHECK(reason_against(cluster, "job-2") == "runs 1 job, and the job needs a worker of its own");
  run_to_end(cluster, worker, "job-1");
  REQUIRE(cluster.dispatched.size() == 2);
  CHECK(cluster.dispatched[1].attempt.key().job_id() == "job-2");
  CHECK(cluster.worker("w").in_use().exclusive());
  CHECK(reason_against(cluster, "job-3") == "a job has it to itself");

  run_to_end(cluster, worker, "job-2");
  CHECK(cluster.dispatched.size() == 3);
  CHECK_FALSE(cluster.worker("w").in_use().exclusive());
}

TEST_CASE("a job goes where it prefers to, and elsewhere where there is no room", "[resources]") {
  ClusterOfFakes cluster;
  cluster.labels = {{"zone", "a"}};
  const std::string in_a = cluster.join("a", 1);
  cluster.labels = {{"zone", "b"}};
  const std::string in_b = cluster.join("b", 8);

  cluster.submit(preferring("zone=a", 10));
  cluster.submit(preferring("zone=a", 10));
  CHECK(cluster.dispatched.at(0).worker_id == in_a);
  CHECK(cluster.dispatched.at(1).worker_id == in_b);

  run_to_end(cluster, in_a, "job-1");
  cluster.submit(preferring("zone=b", -1));
  CHECK(cluster.dispatched.at(2).worker_id == in_a);
}

TEST_CASE("a job that packs goes where the least room is that is enough", "[resources]") {
  ClusterOfFakes cluster;
  const std::string small = cluster.join("small", 2);
  const std::string large = cluster.join("large", 8);
  v1::JobSpec packed = spec_for();
  packed.set_pack(true);

  cluster.submit(packed);
  cluster.submit(packed);
  cluster.submit(packed);
  std::vector<std::string> where;
  for (const Dispatch& order : cluster.dispatched) where.push_back(order.worker_id);
  CHECK(where == std::vector<std::string>{small, small, large});
}

TEST_CASE("a taint keeps jobs away that do not tolerate it", "[resources]") {
  ClusterOfFakes cluster;
  cluster.taints = {"gpu", "team=ml"};
  cluster.join("w", 8);

  cluster.submit(tolerating(""));
  CHECK(cluster.dispatched.empty());
  CHECK(cluster.query("job-1").pending_reason() ==
        "all workers that take jobs have taints that it does not tolerate");
  CHECK(reason_against(cluster, "job-1") == "has the taint gpu, which the job does not tolerate");
  cluster.submit(tolerating("gpu"));
  CHECK(reason_against(cluster, "job-2") ==
        "has the taint team=ml, which the job does not tolerate");
  v1::JobSpec both = tolerating("gpu");
  both.add_tolerate("team");
  cluster.submit(both);
  CHECK(cluster.dispatched.size() == 1);
  both.set_tolerate(1, "team=ml");
  cluster.submit(both);
  CHECK(cluster.dispatched.size() == 2);
  both.set_tolerate(1, "team=other");
  cluster.submit(both);
  CHECK(cluster.dispatched.size() == 2);
  cluster.submit(tolerating("*"));
  CHECK(cluster.dispatched.size() == 3);

  v1::JobSpec directed = spec_for("w");
  const absl::Status refused = cluster.reply(cluster.submit(directed))->status();
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK(field_of(refused) == "tolerate");
}

TEST_CASE("a directed job that can never have its units is refused", "[resources]") {
  ClusterOfFakes cluster;
  cluster.units = {{"gpu", 2}};
  cluster.join("w", 8);
  v1::JobSpec spec = with_units("gpu", 3);
  spec.set_worker_id("w");

  const absl::Status refused = cluster.reply(cluster.submit(spec))->status();
  CHECK(field_of(refused) == "resources");
  CHECK(std::string(refused.message()).find("2 gpu") != std::string::npos);
}

}  // namespace
}  // namespace clusterd
