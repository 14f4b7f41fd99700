#include "gateway/original_endpoints.h"

#include <catch2/catch.hpp>

using namespace clusterd;
using namespace clusterd::gateway;

namespace {

v1::Job ended(v1::Job::State state, v1::JobEnd::Reason reason) {
  v1::Job job;
  job.set_state(state);
  job.mutable_end()->set_reason(reason);
  return job;
}

}  // namespace

TEST_CASE("keys match in any letter case and unknown ones are ignored", "[original]") {
  const auto request = parse_original_request(
      R"({"Worker_ID": "w", "COMMAND": "bash", "x": [1], "path": "a", "Path": "b", "job_id": null})");

  REQUIRE(request.ok());
  CHECK(request->worker_id == "w");
  CHECK(request->command == "bash");
  CHECK(request->path == "b");
  CHECK(request->job_id.empty());
}

TEST_CASE("a body that is no object of strings is refused", "[original]") {
  for (const char* body : {"", "{", "[]", "\"a\"", R"({"path": 1})"}) {
    CAPTURE(body);
    CHECK(absl::IsInvalidArgument(parse_original_request(body).status()));
  }
}

TEST_CASE("states are told in the original's words", "[original]") {
  v1::Job running;
  running.set_state(v1::Job::RUNNING);
  v1::Job exited = ended(v1::Job::FAILED, v1::JobEnd::EXITED);
  exited.mutable_end()->set_exit_code(3);
  v1::Job terminated = ended(v1::Job::STOPPED, v1::JobEnd::STOP_REQUESTED);
  terminated.mutable_end()->set_signal(15);
  v1::Job lost = ended(v1::Job::LOST, v1::JobEnd::WORKER_LOST);
  lost.mutable_end()->set_message("<w> & co");

  CHECK(original_query_body(running) == "{\"done\":false,\"error\":false,\"error_text\":\"\"}\n");
  CHECK(original_query_body(ended(v1::Job::SUCCEEDED, v1::JobEnd::EXITED)) ==
        "{\"done\":true,\"error\":false,\"error_text\":\"\"}\n");
  CHECK(original_query_body(exited) ==
        "{\"done\":true,\"error\":true,\"error_text\":\"exit status 3\"}\n");
  CHECK(original_query_body(ended(v1::Job::STOPPED, v1::JobEnd::STOP_REQUESTED)) ==
        "{\"done\":true,\"error\":true,\"error_text\":\"signal: killed\"}\n");
  CHECK(original_query_body(terminated) ==
        "{\"done\":true,\"error\":true,\"error_text\":\"signal: terminated\"}\n");
  CHECK(original_query_body(lost) ==
        "{\"done\":true,\"error\":true,\"error_text\":\"\\u003cw\\u003e \\u0026 co\"}\n");
}

TEST_CASE("errors keep their form and tell the true status", "[original]") {
  const HttpResponse response = original_error(absl::NotFoundError("job not found"));

  CHECK(response.status == 404);
  CHECK(response.content_type == "application/json");
  CHECK(response.body == "{\"error\":\"job not found\"}\n");
}
