#include "gateway/transcoder.h"

#include <catch2/catch.hpp>

#include "clusterd/v1/scheduler_service.pb.h"
#include "core/field_error.h"
#include "google/protobuf/util/json_util.h"

using namespace clusterd;
using namespace clusterd::gateway;
using namespace std::chrono_literals;

namespace {

const RouteTable& routes() {
  static const RouteTable table = [] {
    const auto* file = v1::StartJobRequest::descriptor()->file();
    return RouteTable::make(*file->FindServiceByName("SchedulerService")).value();
  }();
  return table;
}

absl::StatusOr<MessagePtr> request_for(const std::string& verb, const std::string& path,
                                       const std::string& query, const std::string& body,
                                       const std::string& key = "") {
  HttpRequest request;
  request.verb = verb;
  request.path = path;
  request.query = query;
  request.body = body;
  if (!key.empty()) request.headers.emplace_back("idempotency-key", key);
  return request_message(routes().find(verb, path).value(), request);
}

template <typename T>
T made(const absl::StatusOr<MessagePtr>& message) {
  CAPTURE(message.status().ToString());
  REQUIRE(message.ok());
  T typed;
  typed.CopyFrom(**message);
  return typed;
}

void check_field(const absl::StatusOr<MessagePtr>& message, const std::string& field,
                 const std::string& text) {
  CAPTURE(message.status().ToString());
  CHECK(absl::IsInvalidArgument(message.status()));
  CHECK(field_of(message.status()) == field);
  CHECK_THAT(std::string(message.status().message()), Catch::Contains(text));
}

}  // namespace

TEST_CASE("a body that is one field of the request stands at top level", "[transcoder]") {
  const auto request = made<v1::StartJobRequest>(
      request_for("POST", "/v1/workers/w1/jobs", "", R"({"path": "a.sh"})", "key-1"));

  CHECK(request.spec().path() == "a.sh");
  CHECK(request.spec().worker_id() == "w1");
  CHECK(request.request_id() == "key-1");
}

TEST_CASE("a body that is the whole request may be left out", "[transcoder]") {
  const auto bare = made<v1::StopJobRequest>(request_for("POST", "/v1/jobs/j/stop", "", ""));
  const auto full = made<v1::StopJobRequest>(
      request_for("POST", "/v1/jobs/j/stop", "", R"({"reason": "enough", "job_id": "j"})"));

  CHECK(bare.job_id() == "j");
  CHECK(full.reason() == "enough");
  CHECK_FALSE(request_for("POST", "/v1/jobs", "", "").ok());
}

TEST_CASE("a body that contradicts the path names the field", "[transcoder]") {
  check_field(request_for("POST", "/v1/workers/w1/jobs", "", R"({"worker_id": "w2"})"), "worker_id",
              "'w2' in the body");
  check_field(request_for("POST", "/v1/jobs/j/stop", "", R"({"job_id": "k"})"), "job_id",
              "'k' in the body");
}

TEST_CASE("query parameters become fields of each type", "[transcoder]") {
  const auto list = made<v1::ListJobsRequest>(request_for(
      "GET", "/v1/jobs",
      "state=running&state=QUEUED,Failed&pageSize=10&label=a%3Db&name=x%20y&queue=", ""));
  const auto output = made<v1::StreamJobRequest>(request_for(
      "GET", "/v1/jobs/j/output", "follow&offset=18446744073709551615&stream=stderr", ""));
  const auto wait =
      made<v1::WaitJobRequest>(request_for("GET", "/v1/jobs/j/wait", "timeout=1.5s", ""));
  const auto since = made<v1::ListJobsRequest>(
      request_for("GET", "/v1/jobs", "submitted_since=2026-01-31T12:00:00Z&state=", ""));

  CHECK(list.state_size() == 3);
  CHECK(list.state(2) == v1::Job::FAILED);
  CHECK(list.page_size() == 10);
  CHECK(list.label(0) == "a=b");
  CHECK(list.name() == "x y");
  CHECK(output.follow());
  CHECK(output.offset() == UINT64_MAX);
  CHECK(output.stream() == v1::OutputStream::STDERR);
  CHECK(wait.timeout().nanos() == 500'000'000);
  CHECK(since.submitted_since().seconds() == 1769860800);
  CHECK(since.state_size() == 0);
}

TEST_CASE("parameters that do not fit are refused by name", "[transcoder]") {
  check_field(request_for("GET", "/v1/jobs", "stat=x", ""), "stat", "unknown query parameter");
  check_field(request_for("GET", "/v1/jobs", "state=x", ""), "state", "one of QUEUED, STARTING");
  check_field(request_for("GET", "/v1/jobs", "page_size=-1", ""), "page_size", "0 to 4294967295");
  check_field(request_for("GET", "/v1/jobs", "page_size=1&pageSize=2", ""), "pageSize", "twice");
  check_field(request_for("GET", "/v1/jobs/j", "job_id=k", ""), "job_id", "in the path already");
  check_field(request_for("GET", "/v1/jobs/j/output", "follow=maybe", ""), "follow",
              "true or false");
  check_field(request_for("GET", "/v1/jobs/j/wait", "timeout=soon", ""), "timeout", "duration");
  check_field(request_for("GET", "/v1/jobs", "submitted_since=now", ""), "submitted_since",
              "a time such as");
  check_field(request_for("POST", "/v1/jobs", "spec.path=a", "{}"), "spec.path",
              "belongs into the body");
  check_field(request_for("POST", "/v1/jobs/j/stop", "reason=a", ""), "reason",
              "belongs into the body");
}

TEST_CASE("two different keys for one request are refused", "[transcoder]") {
  check_field(request_for("POST", "/v1/jobs/j/stop", "", R"({"request_id": "a"})", "b"),
              "request_id", "Idempotency-Key");
}

TEST_CASE("answers have the proto's field names, empty ones too", "[transcoder]") {
  v1::Job job;
  job.set_job_id("j");
  job.set_seq(7);
  job.set_state(v1::Job::RUNNING);

  const std::string json = to_json(job).value();

  CHECK_THAT(json, Catch::Contains(R"("job_id":"j","seq":"7")"));
  CHECK_THAT(json, Catch::Contains(R"("state":"RUNNING")"));
  CHECK_THAT(json, Catch::Contains(R"("pending_reason":"")"));
  CHECK_THAT(json, Catch::Contains(R"("attempts":[])"));
  CHECK_THAT(json, !Catch::Contains("exit_code"));
}

TEST_CASE("a list is printed as protobuf prints it, whatever its values say", "[transcoder]") {
  v1::ListJobsResponse jobs;
  jobs.set_next_page_token("\"jobs\":[]");
  for (int n = 0; n < 65; ++n) {  // more than are printed at once
    v1::Job& job = *jobs.add_jobs();
    job.set_job_id("j" + std::to_string(n));
    job.mutable_spec()->add_args("\"jobs\":[]");
    (*job.mutable_spec()->mutable_labels())["a"] = "b";
    job.add_attempts()->set_number(1);
  }
  v1::ListWorkersResponse none;
  for (const google::protobuf::Message* message :
       {static_cast<const google::protobuf::Message*>(&jobs),
        static_cast<const google::protobuf::Message*>(&none)}) {
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    options.always_print_primitive_fields = true;
    std::string whole;
    REQUIRE(google::protobuf::util::MessageToJsonString(*message, &whole, options).ok());
    CHECK(to_json(*message).value() == whole);
  }
}

TEST_CASE("a location's variables are escaped", "[transcoder]") {
  v1::Job job;
  job.set_job_id("a/b");

  CHECK(expand_location("/v1/jobs/{job_id}", job) == "/v1/jobs/a%2Fb");
  CHECK(expand_location("/v1/{none}/x", job) == "/v1//x");
}

TEST_CASE("calls that wait get their own time and a margin", "[transcoder]") {
  v1::WaitJobRequest wait;

  CHECK(call_timeout(v1::QueryJobRequest()) == 75s);
  CHECK(call_timeout(wait) == 85s);
  wait.mutable_timeout()->set_seconds(60);
  CHECK(call_timeout(wait) == 70s);
  wait.mutable_timeout()->set_seconds(1'000'000);
  CHECK(call_timeout(wait) == 15min);
  wait.mutable_timeout()->set_seconds(-5);
  CHECK(call_timeout(wait) == 10s);
}
