#include "worker/limits_policy.h"

#include <catch2/catch.hpp>
#include <functional>

#include "core/field_error.h"
#include "core/limits_check.h"
#include "core/proto_time.h"

namespace clusterd {
namespace {

using namespace std::chrono_literals;

constexpr SystemBounds kSystem{.open_files = 5000, .core_bytes = 1ULL << 20, .least_nice = -5};

WorkerConfig::Limits ceilings() {
  WorkerConfig::Limits config;
  config.max_memory_bytes = 64ULL << 20;
  config.max_cpus = 2;
  config.max_pids = 100;
  config.max_open_files = 9000;
  config.max_core_bytes = 2ULL << 20;
  config.min_nice = -10;
  config.max_timeout = 1h;
  return config;
}

std::vector<internal::UnenforcedLimit> unenforced(const std::string& field) {
  internal::UnenforcedLimit limit;
  limit.set_field(field);
  limit.set_reason("there is no such controller");
  return {limit};
}

TEST_CASE("what is above a ceiling is refused with both numbers", "[limits_policy]") {
  struct Case {
    std::function<void(v1::Limits&)> ask;
    std::string field;
    std::string text;
  };
  const std::vector<Case> cases = {
      {[](auto& l) { l.set_memory_bytes((64ULL << 20) + 1); }, "limits.memory_bytes",
       "67108865 is above this worker's limits.max_memory of 67108864 (64MiB)"},
      {[](auto& l) { l.set_cpus(2.5); }, "limits.cpus",
       "2.5 is above this worker's limits.max_cpus of 2"},
      {[](auto& l) { l.set_pids(101); }, "limits.pids",
       "101 is above this worker's limits.max_pids of 100"},
      {[](auto& l) { l.set_open_files(9001); }, "limits.open_files",
       "9001 is above this worker's limits.max_open_files of 9000"},
      {[](auto& l) { l.set_core_bytes(3ULL << 20); }, "limits.core_bytes",
       "3145728 (3MiB) is above this worker's limits.max_core of 2097152 (2MiB)"},
      {[](auto& l) { l.set_nice(-11); }, "limits.nice",
       "-11 is below this worker's limits.min_nice of -10"},
      {[](auto& l) { l.set_open_files(5001); }, "limits.open_files",
       "5001 is above the 5000 that the system allows this worker's jobs"},
      {[](auto& l) { l.set_core_bytes((1ULL << 20) + 1); }, "limits.core_bytes",
       "1048577 is above the 1048576 that the system allows"},
      {[](auto& l) { l.set_nice(-6); }, "limits.nice", "-6 is below the -5 that the system allows"},
  };
  const LimitsPolicy policy(ceilings(), kSystem);
  for (const Case& one : cases) {
    v1::JobSpec spec;
    one.ask(*spec.mutable_limits());

    const absl::Status status = policy.limits_of(spec, {}).status();

    CHECK(absl::IsInvalidArgument(status));
    CHECK(field_of(status) == one.field);
    CHECK_THAT(std::string(status.message()), Catch::Contains(one.text));
  }
}

TEST_CASE("a job gets what it asks for, else the default, else the ceiling", "[limits_policy]") {
  WorkerConfig::Limits config = ceilings();
  config.memory_bytes = 8ULL << 20;
  config.nice = 3;
  const LimitsPolicy policy(config, kSystem);
  v1::JobSpec asking;
  asking.mutable_limits()->set_pids(7);
  asking.mutable_limits()->set_memory_bytes(64ULL << 20);
  asking.mutable_limits()->set_nice(0);

  const auto given = policy.limits_of(v1::JobSpec(), {});
  const auto asked = policy.limits_of(asking, {});

  REQUIRE(given.ok());
  CHECK(given->memory_bytes() == 8ULL << 20);
  CHECK(given->cpus() == 2);
  CHECK(given->pids() == 100);
  CHECK(given->open_files() == 5000);  // what the system allows of the ceiling
  CHECK(given->has_core_bytes());
  CHECK(given->core_bytes() == 0);
  CHECK(given->nice() == 3);
  REQUIRE(asked.ok());
  CHECK(asked->pids() == 7);
  CHECK(asked->memory_bytes() == 64ULL << 20);
  CHECK(asked->has_nice());
  CHECK(asked->nice() == 0);
}

TEST_CASE("without a configuration nothing is limited but core files", "[limits_policy]") {
  const LimitsPolicy policy({}, kSystem);

  const auto limits = policy.limits_of(v1::JobSpec(), {});
  const auto timeout = policy.timeout_of(v1::JobSpec());

  REQUIRE(limits.ok());
  CHECK(names_of(*limits) == std::vector<std::string>{"core_bytes"});
  REQUIRE(timeout.ok());
  CHECK_FALSE(timeout->has_value());
}

TEST_CASE("a limit that cannot be enforced is refused where it is asked for", "[limits_policy]") {
  const LimitsPolicy policy(ceilings(), kSystem);
  v1::JobSpec spec;
  spec.mutable_limits()->set_memory_bytes(1 << 20);

  const absl::Status refused = policy.limits_of(spec, unenforced("memory_bytes")).status();
  const auto other = policy.limits_of(spec, unenforced("pids"));
  const auto silent = policy.limits_of(v1::JobSpec(), unenforced("memory_bytes"));

  CHECK(absl::IsFailedPrecondition(refused));
  CHECK(field_of(refused) == "limits.memory_bytes");
  CHECK_THAT(std::string(refused.message()), Catch::Contains("there is no such controller"));
  REQUIRE(other.ok());
  CHECK_FALSE(other->has_pids());  // the ceiling has no effect
  REQUIRE(silent.ok());
  CHECK_FALSE(silent->has_memory_bytes());
  CHECK(policy.keys_without_effect(unenforced("memory_bytes")) ==
        std::vector<std::string>{"limits.max_memory"});
}

TEST_CASE("the time a job may run has a default and a ceiling", "[limits_policy]") {
  WorkerConfig::Limits config = ceilings();
  v1::JobSpec spec;
  *spec.mutable_timeout() = to_proto(2h);

  const absl::Status refused = LimitsPolicy(config, kSystem).timeout_of(spec).status();
  const auto from_ceiling = LimitsPolicy(config, kSystem).timeout_of(v1::JobSpec());
  config.timeout = 10min;
  const auto from_default = LimitsPolicy(config, kSystem).timeout_of(v1::JobSpec());
  *spec.mutable_timeout() = to_proto(30min);
  const auto asked = LimitsPolicy(config, kSystem).timeout_of(spec);

  CHECK(field_of(refused) == "timeout");
  CHECK_THAT(std::string(refused.message()),
             Catch::Contains("2h is above this worker's limits.max_timeout of 1h"));
  REQUIRE((from_ceiling.ok() && from_default.ok() && asked.ok()));
  CHECK(from_proto(**from_ceiling) == 1h);
  CHECK(from_proto(**from_default) == 10min);
  CHECK(from_proto(**asked) == 30min);
}

TEST_CASE("a launcher of an earlier version enforces nothing", "[limits_policy]") {
  internal::LauncherHello earlier;
  internal::LauncherHello present;
  present.set_enforces_limits(true);
  present.add_unenforced_limits()->set_field("cpus");

  CHECK(unenforced_limits(earlier).size() == all_limits().size());
  REQUIRE(unenforced_limits(present).size() == 1);
  CHECK(unenforced_limits(present)[0].field() == "cpus");
}

TEST_CASE("the system's own bounds are read", "[limits_policy]") {
  const SystemBounds bounds = read_system_bounds();

  CHECK(bounds.open_files >= 256);
  CHECK(bounds.least_nice >= kLeastNice);
  CHECK(bounds.least_nice <= kMostNice);
}

}  // namespace
}  // namespace clusterd
