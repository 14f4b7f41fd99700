#include "cli/list_request.h"

#include <google/protobuf/util/time_util.h>

#include <catch2/catch.hpp>

#include "core/proto_time.h"

namespace clusterd {
namespace {

using google::protobuf::util::TimeUtil;

TEST_CASE("a list asks for what its options say") {
  JobListCommand command;
  command.states = {"running", "QUEUED"};
  command.worker = "w";
  command.labels = {"team=a", "gpu"};
  command.before = "2026-01-31T08:00:00Z";

  const auto request = list_request(command);

  REQUIRE(request.ok());
  CHECK(request->state_size() == 2);
  CHECK(request->state(1) == v1::Job::QUEUED);
  CHECK(request->worker_id() == "w");
  CHECK(request->label(1) == "gpu");
  CHECK(TimeUtil::ToString(request->submitted_before()) == "2026-01-31T08:00:00Z");
  CHECK_FALSE(request->has_submitted_since());
}

TEST_CASE("a duration is a moment that long ago") {
  JobListCommand command;
  command.since = "2h";

  const auto before = TimeUtil::GetCurrentTime();
  const auto request = list_request(command);
  const auto after = TimeUtil::GetCurrentTime();

  REQUIRE(request.ok());
  const auto two_hours = TimeUtil::HoursToDuration(2);
  CHECK(request->submitted_since() >= before - two_hours);
  CHECK(request->submitted_since() <= after - two_hours);
}

TEST_CASE("a list refuses what it does not understand, by the option's name") {
  JobListCommand command;
  command.since = "yesterday";
  const auto since = list_request(command).status();
  command.since.clear();
  command.before = "2026-13-01T00:00:00Z";
  const auto before = list_request(command).status();
  command.before.clear();
  command.states = {"sleeping"};
  const auto state = list_request(command).status();

  CHECK(since.message() ==
        "--since: \"yesterday\" is neither a time ago, as 2h, nor a moment, as "
        "2026-01-31T08:00:00Z");
  CHECK(std::string(before.message()).starts_with("--before: \"2026-13-01T00:00:00Z\""));
  CHECK(std::string(state.message()).starts_with("--state: \"SLEEPING\": allowed are queued"));
}

}  // namespace
}  // namespace clusterd
