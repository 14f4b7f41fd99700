#include "cli/hints.h"

#include <catch2/catch.hpp>

#include "cli/command_line.h"
#include "client/scheduler_client.h"
#include "core/field_error.h"

namespace clusterd {
namespace {

using Code = absl::StatusCode;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string hint_of_field(Code code, const char* field) {
  return hint_of(field_error(code, field, "x"));
}

TEST_CASE("a scheduler that is not there is told with its address and who named it", "[hints]") {
  ClientConfig config;
  config.addr = {"127.0.0.1:1"};
  const auto client = SchedulerClient::make(config, "from CLUSTERD_ADDR");
  REQUIRE(client.ok());

  const absl::Status status = (*client)->query("j1").status();

  CHECK(has(std::string(status.message()), "scheduler 127.0.0.1:1 (from CLUSTERD_ADDR) cannot"));
  CHECK(has(hint_of(status), "--addr HOST:PORT, CLUSTERD_ADDR, or addr in"));
}

TEST_CASE("each error that a caller can mend says how", "[hints]") {
  CHECK(has(hint_of_field(Code::kInvalidArgument, "path"), "`clusterd cluster scripts WORKER`"));
  CHECK(has(hint_of_field(Code::kPermissionDenied, "command"), "allowed_commands"));
  CHECK(has(hint_of_field(Code::kPermissionDenied, "env"), "env_allow"));
  CHECK(has(hint_of_field(Code::kPermissionDenied, "run_as"), "allowed_users"));
  CHECK(has(hint_of_field(Code::kPermissionDenied, "output.archive_command"), "archive_commands"));
  CHECK(has(hint_of_field(Code::kNotFound, "job_id"), "`clusterd job list`"));
  CHECK(has(hint_of_field(Code::kNotFound, "worker_id"), "`clusterd cluster workers`"));
  CHECK(
      has(hint_of_field(Code::kInvalidArgument, "require"), "`clusterd cluster workers --label`"));
  CHECK(has(hint_of_field(Code::kFailedPrecondition, "limits.pids"), "[limits]"));
  CHECK(has(hint_of(absl::UnauthenticatedError("x")), "--token"));
  CHECK(has(hint_of(absl::PermissionDeniedError("x")), "`clusterd token create --role ROLE`"));
  CHECK(has(hint_of(absl::ResourceExhaustedError("x")), "try again later"));
  CHECK(has(hint_of(absl::UnavailableError("x")), "`clusterd cluster workers`"));
  CHECK(has(hint_of(absl::UnimplementedError("x")), "`clusterd --version`"));
}

TEST_CASE("an error that says all there is has no hint", "[hints]") {
  CHECK(hint_of(absl::InvalidArgumentError("x")).empty());
  CHECK(hint_of(absl::InternalError("x")).empty());
  CHECK(hint_of_field(Code::kInvalidArgument, "command").empty());
  CHECK(hint_of_field(Code::kInvalidArgument, "timeout").empty());
}

TEST_CASE("a script that is not there is looked for on the worker that was named", "[hints]") {
  const absl::Status status = invalid_field("path", "does not exist");

  CHECK(has(hint_of(with_worker(status, "web-1")), "`clusterd cluster scripts web-1`"));
  CHECK(with_worker(absl::NotFoundError("x"), "web-1") == absl::NotFoundError("x"));
}

TEST_CASE("a job whose script was not found says where scripts are listed", "[hints]") {
  v1::Job job;
  job.set_worker_id("w-id");
  job.mutable_end()->set_reason(v1::JobEnd::START_FAILED);
  job.mutable_end()->set_message("path: \"x\" does not exist");
  CHECK(has(hint_of_end(job), "`clusterd cluster scripts w-id`"));

  job.mutable_end()->set_message("execve: no such file");
  CHECK(hint_of_end(job).empty());
  job.mutable_end()->set_reason(v1::JobEnd::EXITED);
  job.mutable_end()->set_message("path: x");
  CHECK(hint_of_end(job).empty());
}

TEST_CASE("a wrong command line points to the help of its own command", "[hints]") {
  const auto hint = [](const std::vector<std::string>& words) {
    return hint_of(parse_command_line(words).status());
  };

  CHECK(hint({"job", "query"}) == "see `clusterd job query --help`");
  CHECK(hint({"job", "qery"}) == "see `clusterd job --help`");
  CHECK(hint({"job", "start", "--nonsense", "x.sh"}) == "see `clusterd job start --help`");
  CHECK(hint({}) == "see `clusterd --help`");
}

}  // namespace
}  // namespace clusterd
