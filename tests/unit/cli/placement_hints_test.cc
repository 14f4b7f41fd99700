#include "cli/placement_hints.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

using Hints = std::vector<std::string>;

v1::Worker& add_worker(v1::ListWorkersResponse& workers, const std::string& name) {
  v1::Worker& worker = *workers.add_workers();
  worker.set_worker_id(name + "-id");
  worker.set_name(name);
  worker.set_state(v1::Worker::ALIVE);
  worker.mutable_capacity()->set_slots(4);
  worker.mutable_capacity()->set_cpus(2);
  worker.mutable_capacity()->set_memory_bytes(1 << 30);
  return worker;
}

v1::JobSpec requiring(std::initializer_list<const char*> expressions) {
  v1::JobSpec spec;
  for (const char* expression : expressions) spec.add_require(expression);
  return spec;
}

TEST_CASE("a label that no worker has is named with the command that lists labels", "[hints]") {
  v1::ListWorkersResponse workers;
  (*add_worker(workers, "w1").mutable_labels())["zone"] = "a";
  (*add_worker(workers, "w2").mutable_labels())["spot"] = "no";

  CHECK(placement_hints(requiring({"gpu=yes"}), workers) ==
        Hints{"no worker has label gpu=yes: `clusterd cluster workers --label`"});
  CHECK(placement_hints(requiring({"zone in (b,c)"}), workers) ==
        Hints{"no worker meets zone in (b,c): `clusterd cluster workers --label`"});
  CHECK(placement_hints(requiring({"zone=a", "spot"}), workers) ==
        Hints{"no worker meets all of zone=a, spot: `clusterd cluster workers --label`"});
  CHECK(placement_hints(requiring({"zone=a", "!spot"}), workers).empty());
}

TEST_CASE("a job that is larger than every worker is told the largest", "[hints]") {
  v1::ListWorkersResponse workers;
  add_worker(workers, "w1");
  v1::JobSpec spec;
  spec.mutable_resources()->set_slots(5);
  spec.mutable_resources()->set_cpus(2.5);
  spec.mutable_resources()->set_memory_bytes(2ULL << 30);

  CHECK(placement_hints(spec, workers) ==
        Hints{"no worker has 5 slots, the largest has 4: `clusterd cluster workers`",
              "no worker has 2.5 cpus, the largest has 2: `clusterd cluster workers`",
              "no worker has 2GiB of memory, the largest has 1GiB: `clusterd cluster workers`"});
  spec.mutable_resources()->Clear();
  CHECK(placement_hints(spec, workers).empty());
}

TEST_CASE("limits that no worker can enforce are named", "[hints]") {
  v1::ListWorkersResponse workers;
  add_worker(workers, "w1").add_unenforced_limits("pids");
  v1::JobSpec spec;
  spec.mutable_limits()->set_pids(10);
  spec.mutable_limits()->set_memory_bytes(1 << 20);

  CHECK(placement_hints(spec, workers) ==
        Hints{"no worker can enforce limits.pids: their logs say why"});
}

TEST_CASE("where no worker takes jobs the hint says what to do about it", "[hints]") {
  v1::ListWorkersResponse workers;
  CHECK(placement_hints({}, workers) ==
        Hints{"there is no worker: start one with `clusterd worker --config FILE`"});

  v1::Worker& worker = add_worker(workers, "w1");
  worker.set_state(v1::Worker::UNREACHABLE);
  CHECK(placement_hints({}, workers) == Hints{"no worker is ALIVE: `clusterd cluster workers`"});

  worker.set_state(v1::Worker::ALIVE);
  worker.set_draining(true);
  CHECK(placement_hints({}, workers) ==
        Hints{"every worker is drained: `clusterd cluster resume w1`"});
  v1::JobSpec directed;
  directed.set_worker_id("w1-id");
  CHECK(placement_hints(directed, workers) ==
        Hints{"worker w1 is drained: `clusterd cluster resume w1`"});
}

}  // namespace
}  // namespace clusterd
