#include "worker/job_settings.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "core/field_error.h"

namespace clusterd {
namespace {

std::vector<std::string> environment_of(const WorkerConfig::Jobs& jobs, const v1::JobSpec& spec) {
  const ScriptFolder scripts("/");
  v1::StartAttempt attempt;
  attempt.mutable_key()->set_job_id("j1");
  attempt.mutable_key()->set_attempt(1);
  *attempt.mutable_spec() = spec;
  internal::LaunchPlan plan;
  REQUIRE(JobSettings(jobs, scripts).apply(attempt, {"id", "name"}, plan).ok());
  return {plan.environment().begin(), plan.environment().end()};
}

bool has(const std::vector<std::string>& environment, const std::string& entry) {
  return std::count(environment.begin(), environment.end(), entry) == 1;
}

std::string own_number() { return std::to_string(::geteuid()); }

}  // namespace

TEST_CASE("variables of the worker are passed on by name or by their beginning", "[settings]") {
  ::setenv("PASSED", "1", 1);
  ::setenv("SOME_A", "2", 1);
  ::setenv("SOMEB", "3", 1);
  WorkerConfig::Jobs jobs;
  jobs.pass_env = {"PASSED", "SOME_*", "NOT_SET"};
  jobs.env = {{"SOME_A", "configured"}, {"LANG", "en"}};
  v1::JobSpec spec;
  (*spec.mutable_env())["LANG"] = "de";

  const auto environment = environment_of(jobs, spec);

  CHECK(has(environment, "PASSED=1"));
  CHECK(has(environment, "SOME_A=configured"));
  CHECK(has(environment, "LANG=de"));
  CHECK_FALSE(has(environment, "SOMEB=3"));
}

TEST_CASE("a language is always set", "[settings]") {
  ::unsetenv("LANG");

  CHECK(has(environment_of({}, {}), "LANG=C.UTF-8"));
}

TEST_CASE("the scratch folder is named by two variables", "[settings]") {
  WorkerConfig::Jobs jobs;
  jobs.scratch_dir = "/s";
  v1::JobSpec kept;
  kept.set_keep_scratch(true);
  v1::JobSpec own;
  (*own.mutable_env())["TMPDIR"] = "/mine";

  CHECK(has(environment_of(jobs, {}), "CLUSTERD_SCRATCH=/s/run/j1.1"));
  CHECK(has(environment_of(jobs, {}), "TMPDIR=/s/run/j1.1"));
  CHECK(has(environment_of(jobs, kept), "CLUSTERD_SCRATCH=/s/kept/j1.1"));
  CHECK(has(environment_of(jobs, own), "TMPDIR=/mine"));
  CHECK(has(environment_of(jobs, own), "CLUSTERD_SCRATCH=/s/run/j1.1"));
}

TEST_CASE("without the setting a job runs as the worker's own user and may say so", "[settings]") {
  const JobUsers users("", {});
  const passwd* own = ::getpwuid(::geteuid());

  const auto none = users.choose("");

  REQUIRE(none.ok());
  CHECK_FALSE(none->has_value());
  CHECK(users.is_same_user_by_default());
  CHECK_FALSE(users.may_switch());
  if (own != nullptr && ::geteuid() != 0) CHECK(users.choose(own->pw_name).ok());
}

TEST_CASE("root must be in the list to be asked for", "[settings]") {
  for (const char* name : {"root", "0"}) {
    const auto user = JobUsers("root", {}).choose(name);

    CHECK(absl::IsPermissionDenied(user.status()));
    CHECK(field_of(user.status()) == "run_as");
  }
  if (::geteuid() == 0) CHECK(JobUsers("nobody", {"root"}).choose("root").ok());
}

TEST_CASE("a user who is not in the list is refused with the list", "[settings]") {
  const auto user = JobUsers("", {"alice", "bob"}).choose("nobody");

  CHECK(absl::IsPermissionDenied(user.status()));
  CHECK_THAT(std::string(user.status().message()),
             Catch::Contains("\"nobody\" is not in this worker's allowed_users: alice, bob"));
}

TEST_CASE("names that nobody has are problems at the start", "[settings]") {
  const JobUsers users("no-such-user-1", {"no-such-user-2"});

  CHECK(users.problems().size() == 2);
  CHECK(absl::IsFailedPrecondition(users.choose("").status()));
  CHECK(absl::IsFailedPrecondition(users.choose("no-such-user-2").status()));
  CHECK_FALSE(users.is_same_user_by_default());
}

TEST_CASE("the worker's own number is its own user, with or without a name", "[settings]") {
  const JobUsers users(own_number(), {});

  REQUIRE(users.choose("").ok());
  CHECK_FALSE(users.choose("")->has_value());
  CHECK(users.problems().empty());
  CHECK_FALSE(users.is_same_user_by_default());
  CHECK_FALSE(users.may_switch());
}

TEST_CASE("another user has its groups and its home", "[settings]") {
  const auto user = look_up_user("nobody");

  REQUIRE(user.ok());
  CHECK(user->ids.name() == "nobody");
  CHECK(user->ids.uid() == ::getpwnam("nobody")->pw_uid);
  CHECK(user->ids.groups_size() >= 1);
  CHECK(user->home == ::getpwnam("nobody")->pw_dir);
  CHECK(absl::IsNotFound(look_up_user("no-such-user").status()));
}

}  // namespace clusterd
