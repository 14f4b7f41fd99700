#include "cli/exit_codes.h"

#include <catch2/catch.hpp>

#include "client/scheduler_client.h"

namespace clusterd {
namespace {

TEST_CASE("each error has its exit code", "[exit_codes]") {
  const auto code_of = [](absl::StatusCode code) { return exit_code_of(absl::Status(code, "x")); };

  CHECK(exit_code_of(absl::OkStatus()) == 0);
  CHECK(code_of(absl::StatusCode::kInvalidArgument) == 64);
  CHECK(code_of(absl::StatusCode::kOutOfRange) == 64);
  CHECK(code_of(absl::StatusCode::kNotFound) == 66);
  CHECK(code_of(absl::StatusCode::kUnavailable) == 75);
  CHECK(code_of(absl::StatusCode::kDeadlineExceeded) == 75);
  CHECK(code_of(absl::StatusCode::kResourceExhausted) == 75);
  CHECK(code_of(absl::StatusCode::kAborted) == 75);
  CHECK(code_of(absl::StatusCode::kPermissionDenied) == 77);
  CHECK(code_of(absl::StatusCode::kUnauthenticated) == 77);
  CHECK(code_of(absl::StatusCode::kCancelled) == 130);
  CHECK(code_of(absl::StatusCode::kAlreadyExists) == 70);
  CHECK(code_of(absl::StatusCode::kFailedPrecondition) == 70);
  CHECK(code_of(absl::StatusCode::kInternal) == 70);
  CHECK(code_of(absl::StatusCode::kDataLoss) == 70);
  CHECK(code_of(absl::StatusCode::kUnimplemented) == 70);
}

TEST_CASE("no scheduler at the address is 69 and names the address", "[exit_codes]") {
  ClientConfig config;
  config.addr = {"127.0.0.1:1"};
  const auto client = SchedulerClient::make(config);
  REQUIRE(client.ok());

  const auto job = (*client)->query("j1");

  REQUIRE_FALSE(job.ok());
  CHECK(is_scheduler_unreachable(job.status()));
  CHECK(exit_code_of(job.status()) == 69);
  CHECK(std::string(job.status().message()).find("127.0.0.1:1") != std::string::npos);
}

}  // namespace
}  // namespace clusterd
