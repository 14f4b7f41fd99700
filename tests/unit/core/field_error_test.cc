#include "core/field_error.h"

#include <catch2/catch.hpp>

using namespace std::chrono_literals;

namespace clusterd {
namespace {

TEST_CASE("a field error names its field in the text and in the payload", "[field_error]") {
  const absl::Status status =
      field_error(absl::StatusCode::kPermissionDenied, "command", "\"zsh\" is not allowed");

  CHECK(status.code() == absl::StatusCode::kPermissionDenied);
  CHECK(status.message() == "command: \"zsh\" is not allowed");
  CHECK(field_of(status) == "command");
  CHECK(invalid_field("path", "x").code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("other errors name no field and no delay", "[field_error]") {
  CHECK(field_of(absl::NotFoundError("job 1")).empty());
  CHECK_FALSE(retry_delay_of(absl::NotFoundError("job 1")).has_value());
}

TEST_CASE("a retry delay is kept beside the error", "[field_error]") {
  const absl::Status status = with_retry_delay(absl::ResourceExhaustedError("full"), 1500ms);

  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(retry_delay_of(status) == std::chrono::nanoseconds(1500ms));
}

TEST_CASE("a status survives its message form with all payloads", "[field_error]") {
  const absl::Status status = with_retry_delay(invalid_field("env", "A=b"), 2s);

  const absl::Status copy = from_proto(to_proto(status));

  CHECK(copy == status);
  CHECK(field_of(copy) == "env");
  CHECK(retry_delay_of(copy) == std::chrono::nanoseconds(2s));
  CHECK(from_proto(to_proto(absl::OkStatus())).ok());
}

}  // namespace
}  // namespace clusterd
