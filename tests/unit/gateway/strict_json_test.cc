#include "gateway/strict_json.h"

#include <catch2/catch.hpp>

#include "clusterd/v1/job.pb.h"
#include "core/field_error.h"

using namespace clusterd;
using namespace clusterd::gateway;

namespace {

struct BadText {
  std::string text;
  std::string field;    // empty: malformed, no field
  std::string message;  // part of it
};

v1::JobSpec parsed(const std::string& text) {
  v1::JobSpec spec;
  const absl::Status status = parse_strict_json(text, spec);
  CAPTURE(text, status.ToString());
  REQUIRE(status.ok());
  return spec;
}

void check_refused(const BadText& bad) {
  CAPTURE(bad.text);
  v1::JobSpec spec;
  const absl::Status status = parse_strict_json(bad.text, spec);
  CAPTURE(status.ToString());
  CHECK(absl::IsInvalidArgument(status));
  CHECK(field_of(status) == bad.field);
  CHECK_THAT(std::string(status.message()), Catch::Contains(bad.message));
}

std::string nested(int depth) {
  return "{\"x\":" + std::string(static_cast<size_t>(depth), '[') + "}";
}

}  // namespace

TEST_CASE("each kind of field is read, in both spellings", "[json]") {
  const v1::JobSpec spec = parsed(R"({"path": "a.sh", "args": ["1", "zwei \u00e9\ud83d\ude00"],
    "env": {"A": "b"}, "stdin": "aGFsbG8=", "timeout": "1.5s", "stopGrace": "2s",
    "priority": -7, "resources": {"slots": 2, "cpus": 0.5, "memory_bytes": "1073741824",
    "custom": {"gpu": 1}}, "retry": {"maxAttempts": 3, "on": ["FAILURE", "LOSS"],
    "allow_overlap": true}, "start_at": "2026-01-31T12:00:00+01:00", "array": null})");

  CHECK(spec.path() == "a.sh");
  CHECK(spec.args(1) == "zwei é😀");
  CHECK(spec.env().at("A") == "b");
  CHECK(spec.stdin() == "hallo");
  CHECK(spec.timeout().nanos() == 500'000'000);
  CHECK(spec.stop_grace().seconds() == 2);
  CHECK(spec.priority() == -7);
  CHECK(spec.resources().memory_bytes() == 1ULL << 30);
  CHECK(spec.resources().custom().at("gpu") == 1);
  CHECK(spec.retry().max_attempts() == 3);
  CHECK(spec.retry().on(1) == v1::RetryPolicy::LOSS);
  CHECK(spec.start_at().seconds() == 1769857200);
  CHECK_FALSE(spec.has_array());
}

TEST_CASE("malformed text is refused with line and column", "[json]") {
  const BadText cases[] = {
      {"", "", "line 1, column 1: the text ends too early"},
      {"{", "", "line 1, column 2: the text ends too early"},
      {"{\"path\": \"a\",}", "", "line 1, column 14: unexpected '}'"},
      {"{\n  \"path\": 'a'}", "", "line 2, column 11: unexpected '''"},
      {"{path: \"a\"}", "", "line 1, column 2: unexpected 'p'"},
      {"{\"args\": [\"a\",]}", "", "line 1, column 15: unexpected ']'"},
      {"{} {}", "", "line 1, column 4: unexpected '{'"},
      {"{\"path\": \"a\" \"b\"}", "", "line 1, column 14: unexpected '\"'"},
      {"{\"priority\": NaN}", "", "line 1, column 14: unexpected 'N'"},
      {"{\"priority\": 01}", "", "line 1, column 15: unexpected '1'"},
      {"{/* no */}", "", "line 1, column 2: unexpected '/'"},
      {"{\"path\": \"a\nb\"}", "", "line 1, column 12"},
      {"{\"path\": \"\\ud800\"}", "", "line 1"},
      {"{\"path\": \"\xff\"}", "", "not valid UTF-8"},
      {"[]", "", "must be a JSON object"},
      {"\"text\"", "", "must be a JSON object"},
      {"12", "", "must be a JSON object"},
      {"null", "", "must be a JSON object"},
  };
  for (const BadText& bad : cases) check_refused(bad);
}

TEST_CASE("fields that do not fit are refused by their path", "[json]") {
  const BadText cases[] = {
      {R"({"pth": "a"})", "pth", "unknown field"},
      {R"({"resources": {"slot": 1}})", "resources.slot", "unknown field"},
      {R"({"after": [{"job_id": "a"}, {"job": "b"}]})", "after[1].job", "unknown field"},
      {R"({"path": "a", "path": "b"})", "path", "given twice"},
      {R"({"stop_grace": "1s", "stopGrace": "1s"})", "stopGrace", "given twice"},
      {R"({"env": {"A": "1", "A": "2"}})", "env.A", "given twice"},
      {R"({"path": 1})", "path", "must be a string"},
      {R"({"path": {}})", "path", "must be a string"},
      {R"({"path": ["a"]})", "path", "must be a string"},
      {R"({"path": true})", "path", "must be a string"},
      {R"({"args": "a"})", "args", "must be an array"},
      {R"({"args": {}})", "args", "must be an array"},
      {R"({"args": ["a", 2]})", "args[1]", "must be a string"},
      {R"({"args": ["a", null]})", "args[1]", "must not be null"},
      {R"({"args": [["a"]]})", "args[0]", "must be a string"},
      {R"({"env": []})", "env", "must be an object"},
      {R"({"env": {"A": 1}})", "env.A", "must be a string"},
      {R"({"env": "A=1"})", "env", "must be an object"},
      {R"({"resources": 1})", "resources", "must be an object"},
      {R"({"resources": "a"})", "resources", "must be an object"},
      {R"({"resources": []})", "resources", "must be an object"},
      {R"({"resources": {"slots": -1}})", "resources.slots", "0 to 4294967295"},
      {R"({"resources": {"slots": 4294967296}})", "resources.slots", "0 to 4294967295"},
      {R"({"resources": {"slots": 1.5}})", "resources.slots", "whole number"},
      {R"({"resources": {"slots": "x"}})", "resources.slots", "whole number"},
      {R"({"resources": {"memory_bytes": 18446744073709551616}})", "resources.memory_bytes",
       "0 to 18446744073709551615"},
      {R"({"resources": {"cpus": "2"}})", "resources.cpus", "must be a number"},
      {R"({"resources": {"cpus": "NaN"}})", "resources.cpus", "must be a number"},
      {R"({"priority": 2147483648})", "priority", "-2147483648 to 2147483647"},
      {R"({"retry": {"on": ["SOMETIMES"]}})", "retry.on[0]", "one of FAILURE, TIMEOUT"},
      {R"({"retry": {"on": [99]}})", "retry.on[0]", "one of FAILURE, TIMEOUT"},
      {R"({"retry": {"allow_overlap": 1}})", "retry.allow_overlap", "true or false"},
      {R"({"timeout": 30})", "timeout", "duration in seconds"},
      {R"({"timeout": "30"})", "timeout", "duration in seconds"},
      {R"({"timeout": "1m"})", "timeout", "duration in seconds"},
      {R"({"timeout": {"seconds": 1}})", "timeout", "duration in seconds"},
      {R"({"start_at": "tomorrow"})", "start_at", "a time such as"},
      {R"({"stdin": "a!"})", "stdin", "base64"},
      {R"({"stdin": "=="})", "stdin", "base64"},
      {R"({"stdin": "QQ="})", "stdin", "base64"},
      {R"({"stdin": "QQ==="})", "stdin", "base64"},
      {R"({"stdin": "Q"})", "stdin", "base64"},
      {R"({"stdin": "QQ==QQ=="})", "stdin", "base64"},
      {R"({"stdin": "+_QQ"})", "stdin", "base64"},
  };
  for (const BadText& bad : cases) check_refused(bad);
}

TEST_CASE("text that is nested without end is refused", "[json]") {
  v1::JobSpec spec;

  const absl::Status status = parse_strict_json(nested(100'000), spec);

  CHECK(absl::IsInvalidArgument(status));
}
