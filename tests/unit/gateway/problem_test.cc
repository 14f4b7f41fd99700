#include "gateway/problem.h"

#include <catch2/catch.hpp>
#include <chrono>

#include "core/field_error.h"

using namespace clusterd;
using namespace clusterd::gateway;

TEST_CASE("each code has its name and its HTTP status", "[problem]") {
  const std::tuple<absl::StatusCode, const char*, int> rows[] = {
      {absl::StatusCode::kInvalidArgument, "INVALID_ARGUMENT", 400},
      {absl::StatusCode::kUnauthenticated, "UNAUTHENTICATED", 401},
      {absl::StatusCode::kPermissionDenied, "PERMISSION_DENIED", 403},
      {absl::StatusCode::kNotFound, "NOT_FOUND", 404},
      {absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS", 409},
      {absl::StatusCode::kAborted, "ABORTED", 409},
      {absl::StatusCode::kFailedPrecondition, "FAILED_PRECONDITION", 409},
      {absl::StatusCode::kResourceExhausted, "RESOURCE_EXHAUSTED", 429},
      {absl::StatusCode::kOutOfRange, "OUT_OF_RANGE", 416},
      {absl::StatusCode::kCancelled, "CANCELLED", 499},
      {absl::StatusCode::kUnimplemented, "UNIMPLEMENTED", 501},
      {absl::StatusCode::kUnavailable, "UNAVAILABLE", 503},
      {absl::StatusCode::kDeadlineExceeded, "DEADLINE_EXCEEDED", 504},
      {absl::StatusCode::kInternal, "INTERNAL", 500},
      {absl::StatusCode::kDataLoss, "DATA_LOSS", 500},
      {absl::StatusCode::kUnknown, "UNKNOWN", 500},
  };
  for (const auto& [code, name, status] : rows) {
    CHECK(code_name(code).name == name);
    CHECK(code_name(code).http_status == status);
    CHECK(problem(absl::Status(code, "x")).status == status);
    CHECK_FALSE(reason_phrase(status).empty());
  }
  CHECK(code_name(static_cast<absl::StatusCode>(77)).http_status == 500);
}

TEST_CASE("a problem document has the members of RFC 9457, code and field", "[problem]") {
  const HttpResponse response = problem(invalid_field("path", "no \"a\"\n"));

  CHECK(response.content_type == "application/problem+json");
  CHECK(response.body == R"({"type":"about:blank","title":"Bad Request","status":400,)"
                         R"("detail":"path: no \"a\"\n","code":"INVALID_ARGUMENT","field":"path"})"
                         "\n");
}

TEST_CASE("a problem without a field has none, and another status may be set", "[problem]") {
  const HttpResponse response = problem(absl::OutOfRangeError("big"), 413);

  CHECK(response.status == 413);
  CHECK(response.body == R"({"type":"about:blank","title":"Content Too Large","status":413,)"
                         R"("detail":"big","code":"OUT_OF_RANGE"})"
                         "\n");
}

TEST_CASE("who may try again is told when", "[problem]") {
  using std::chrono::milliseconds;

  CHECK(retry_after(absl::ResourceExhaustedError("full")) == "1");
  CHECK(retry_after(absl::UnavailableError("away")).empty());
  CHECK(retry_after(with_retry_delay(absl::UnavailableError("away"), milliseconds(2500))) == "3");
  CHECK(retry_after(with_retry_delay(absl::UnavailableError("away"), milliseconds(0))) == "1");
}

TEST_CASE("JSON strings are escaped and made UTF-8", "[problem]") {
  CHECK(json_quote("a\"\\\n\r\t\x01/é") == "\"a\\\"\\\\\\n\\r\\t\\u0001/é\"");
  CHECK(json_quote("\xff") == "\"\xEF\xBF\xBD\"");
}
