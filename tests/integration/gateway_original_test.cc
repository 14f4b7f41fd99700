#include <catch2/catch.hpp>

#include "integration/gateway_fixture.h"
#include "rpc/grpc_status.h"

using namespace clusterd;
using namespace clusterd::testing;

namespace {

constexpr const char* kJob = R"({"worker_id":"w1","job_id":"job-1"})";

void start_original(RawHttp& client) {
  REQUIRE(client.request("POST", "/start", R"({"worker_id":"w1","command":"bash","path":"a"})")
              .status == 201);
}

}  // namespace

TEST_CASE("the original's start, query and stop answer byte for byte", "[gateway][original]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());

  const RawResponse started = client.request(
      "POST", "/start", R"({"WORKER_ID":"w1","Command":"bash","path":"a.sh","extra":{"a":1}})",
      "Content-Type: text/plain\r\n");
  const RawResponse running = client.request("POST", "/query", kJob);
  const RawResponse stopped = client.request("POST", "/stop", kJob);
  const RawResponse ended = client.request("POST", "/query", kJob);
  const RawResponse again = client.request("POST", "/stop", kJob);

  CHECK(started.status == 201);
  CHECK(started.header("content-type") == "application/json");
  CHECK(started.body == "{\"job_id\":\"job-1\"}\n");
  CHECK(running.status == 200);
  CHECK(running.body == "{\"done\":false,\"error\":false,\"error_text\":\"\"}\n");
  CHECK(stopped.status == 200);
  CHECK(stopped.body == "{\"success\":true}\n");
  CHECK(ended.body == "{\"done\":true,\"error\":true,\"error_text\":\"signal: killed\"}\n");
  CHECK(again.body == "{\"success\":true}\n");
}

TEST_CASE("the original's errors keep their form and texts", "[gateway][original]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());
  start_original(client);
  const auto post = [&client](const char* path, const char* body) {
    const RawResponse response = client.request("POST", path, body);
    return std::to_string(response.status) + " " + response.body;
  };

  const std::string no_worker = "404 {\"error\":\"worker not found\"}\n";
  const std::string no_job = "404 {\"error\":\"job not found\"}\n";
  CHECK(post("/start", R"({"worker_id":"x","command":"bash","path":"a"})") == no_worker);
  for (const char* path : {"/stop", "/query", "/output"}) {
    CAPTURE(path);
    CHECK(post(path, R"({"worker_id":"x","job_id":"job-1"})") == no_worker);
    CHECK(post(path, R"({"worker_id":"w1","job_id":"x"})") == no_job);
  }
  CHECK(post("/start", R"({"worker_id":"w1","command":"bash","path":"missing.sh"})") ==
        "400 {\"error\":\"path: no script missing.sh below \\u003cscripts\\u003e\"}\n");
  CHECK_THAT(post("/start", "{"), Catch::StartsWith("400 {\"error\":\"malformed JSON"));
  CHECK(client.request("GET", "/query").body == "{\"error\":\"method not allowed\"}\n");
}

TEST_CASE("the original's stop waits for the end, and no longer than it may",
          "[gateway][original]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());
  gateway.service().set_stops_at_once(false);
  REQUIRE(client.request("POST", "/v1/jobs", R"({"path":"a","stop_grace":"0.1s"})").status == 201);

  client.send(std::string("POST /stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: ") +
              std::to_string(std::string(kJob).size()) + "\r\n\r\n" + kJob);
  const RawResponse late = client.receive();
  gateway.service().end_job("job-1", v1::Job::STOPPED, {});
  const RawResponse done = client.request("POST", "/stop", kJob);

  CHECK(late.status == 504);
  CHECK(late.body ==
        "{\"error\":\"job has not stopped in time: job-1 is RUNNING 5.1 s after the stop; the stop "
        "goes on\"}\n");
  CHECK(done.body == "{\"success\":true}\n");
}

TEST_CASE("the original's stop waits as long as the job's grace, over the bound of one call",
          "[gateway][original]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());
  gateway.service().set_stops_at_once(false);
  gateway.service().set_longest_wait(std::chrono::milliseconds(20));
  REQUIRE(client.request("POST", "/v1/jobs", R"({"path":"a","stop_grace":"3600s"})").status == 201);

  client.send(std::string("POST /stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: ") +
              std::to_string(std::string(kJob).size()) + "\r\n\r\n" + kJob);
  gateway.service().wait_for_waits(3);
  gateway.service().end_job("job-1", v1::Job::STOPPED, {});
  const RawResponse done = client.receive();

  CHECK(done.status == 200);
  CHECK(done.body == "{\"success\":true}\n");
}

TEST_CASE("output that has been deleted is gone for the original's clients too",
          "[gateway][original]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());
  start_original(client);
  gateway.service().break_streams("job-1", to_grpc(absl::FailedPreconditionError("deleted")));

  const RawResponse deleted = client.request("POST", "/output", kJob);

  CHECK(deleted.status == 410);
  CHECK(deleted.body == "{\"error\":\"deleted\"}\n");
}

TEST_CASE("the original's output is the job's bytes until its end", "[gateway][original]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());
  start_original(client);
  gateway.service().append_output("job-1", "one\n");
  const std::string request =
      "POST /output HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
      "Content-Length: " +
      std::to_string(std::string(kJob).size()) + "\r\n\r\n" + kJob;

  client.send(request);
  const RawResponse head = client.receive_head();
  const auto first = client.read_chunk();
  gateway.service().append_output("job-1", "two\n");
  const auto second = client.read_chunk();
  gateway.service().end_job("job-1", v1::Job::SUCCEEDED, {});
  const auto last = client.read_chunk();

  CHECK(head.status == 200);
  CHECK(head.header("content-type") == "application/octet-stream");
  CHECK(first == "one\n");
  CHECK(second == "two\n");
  CHECK(last == "");
}

TEST_CASE("without the original endpoints their paths are unknown", "[gateway][original]") {
  GatewayFixture gateway(
      {}, [] { return absl::OkStatus(); }, false);
  RawHttp client(gateway.address());

  CHECK(client.request("POST", "/start", "{}").status == 404);
}
