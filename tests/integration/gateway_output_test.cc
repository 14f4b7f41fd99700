#include <catch2/catch.hpp>
#include <chrono>

#include "core/field_error.h"
#include "integration/gateway_fixture.h"
#include "rpc/grpc_status.h"

using namespace clusterd;
using namespace clusterd::testing;
using namespace std::chrono_literals;

namespace {

constexpr const char* kFollow =
    "GET /v1/jobs/job-1/output?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n";
constexpr const char* kEvents =
    "GET /v1/jobs/job-1/output?follow=true HTTP/1.1\r\nHost: localhost\r\n"
    "Accept: text/event-stream\r\n";

v1::Event event_number(uint64_t seq) {
  v1::Event event;
  event.set_seq(seq);
  event.set_deleted_job_id("j" + std::to_string(seq));
  return event;
}

}  // namespace

TEST_CASE("output comes raw with its place before and its length after", "[gateway]") {
  GatewayFixture gateway;
  gateway.start_job();
  gateway.service().append_output("job-1", "0123456789");
  gateway.service().end_job("job-1", v1::Job::SUCCEEDED, {});
  RawHttp client(gateway.address());

  const RawResponse response = client.request("GET", "/v1/jobs/job-1/output?offset=4");
  const RawResponse next = client.request("GET", "/v1/jobs/job-1");

  CHECK(response.status == 200);
  CHECK(response.complete);
  CHECK(response.body == "456789");
  CHECK(response.header("content-type") == "application/octet-stream");
  CHECK(response.header("clusterd-output-offset") == "4");
  CHECK(response.header("clusterd-output-released") == "0");
  CHECK(response.header("clusterd-attempt") == "1");
  CHECK(response.trailer("clusterd-output-length") == "10");
  CHECK(response.trailer("clusterd-job-state") == "SUCCEEDED");
  CHECK(next.status == 200);
}

TEST_CASE("a follow gives bytes as they come and ends with the job", "[gateway]") {
  GatewayFixture gateway;
  gateway.start_job();
  RawHttp client(gateway.address());

  client.send(kFollow);
  CHECK(client.receive_head().status == 200);
  gateway.service().append_output("job-1", "one\n");
  CHECK(client.read_chunk() == "one\n");
  gateway.service().append_output("job-1", "two\n");
  CHECK(client.read_chunk() == "two\n");
  gateway.service().end_job("job-1", v1::Job::FAILED, {});
  CHECK(client.read_chunk() == "");
}

TEST_CASE("a stream that breaks midway is cut without its last chunk", "[gateway]") {
  GatewayFixture gateway;
  gateway.start_job();
  gateway.service().append_output("job-1", "part");
  gateway.service().break_streams("job-1", to_grpc(absl::UnavailableError("worker away")));
  RawHttp client(gateway.address());

  client.send(kFollow);
  const RawResponse response = client.receive();

  CHECK(response.status == 200);
  CHECK(response.body == "part");
  CHECK_FALSE(response.complete);
}

TEST_CASE("bytes that were damaged on their way are not passed on", "[gateway]") {
  GatewayFixture gateway;
  gateway.start_job();
  gateway.service().spoil_checksums(true);
  gateway.service().append_output("job-1", "part");
  RawHttp client(gateway.address());

  const RawResponse response = client.request("GET", "/v1/jobs/job-1/output");

  CHECK(response.body.empty());
  CHECK_FALSE(response.complete);
}

TEST_CASE("an error before the first byte is a problem document", "[gateway]") {
  GatewayFixture gateway;
  gateway.start_job();
  RawHttp client(gateway.address());

  const RawResponse above = client.request("GET", "/v1/jobs/job-1/output?offset=5");
  const RawResponse unknown = client.request("GET", "/v1/jobs/none/output");
  gateway.service().break_streams("job-1", to_grpc(absl::FailedPreconditionError("deleted")));
  const RawResponse deleted = client.request("GET", "/v1/jobs/job-1/output");

  CHECK(above.status == 416);
  CHECK_THAT(above.body, Catch::Contains(R"("code":"OUT_OF_RANGE")"));
  CHECK(unknown.status == 404);
  CHECK(deleted.status == 410);
}

TEST_CASE("HTTP/1.0 gets output without chunks, up to the connection's end", "[gateway]") {
  GatewayFixture gateway;
  gateway.start_job();
  gateway.service().append_output("job-1", "all of it");
  RawHttp client(gateway.address());

  client.send("GET /v1/jobs/job-1/output HTTP/1.0\r\nHost: localhost\r\n\r\n");
  const RawResponse response = client.receive();

  CHECK(response.header("connection") == "close");
  CHECK(response.header("transfer-encoding").empty());
  CHECK(response.body == "all of it");
}

TEST_CASE("output comes as events that resume where they stopped", "[gateway]") {
  GatewayFixture gateway;
  gateway.start_job();
  gateway.service().append_output("job-1", "one\n");
  RawHttp client(gateway.address());
  client.send(std::string(kEvents) + "\r\n");
  CHECK(client.receive_head().header("content-type") == "text/event-stream");
  CHECK(client.read_chunk() == "id: 1.merged.4\ndata: \"one\\n\"\n\n");
  client.close();
  CHECK(gateway.service().wait_until_idle(10));
  gateway.service().append_output("job-1", "\xff");
  gateway.service().end_job("job-1", v1::Job::SUCCEEDED, {});

  RawHttp again(gateway.address());
  again.send(std::string(kEvents) + "Last-Event-ID: 1.merged.4\r\n\r\n");
  const RawResponse rest = again.receive();

  CHECK(rest.body ==
        "id: 1.merged.5\nevent: base64\ndata: /w==\n\n"
        "id: 1.merged.5\nevent: end\ndata: {\"total_bytes\":\"5\",\"job_state\":\"SUCCEEDED\","
        "\"complete\":true,\"another_attempt\":false}\n\n");
  CHECK(rest.complete);
  CHECK(gateway.service().last_stream().attempt() == 1);
  again.send(std::string(kEvents) + "Last-Event-ID: 7\r\n\r\n");
  CHECK_THAT(again.receive().body, Catch::Contains(R"("field":"Last-Event-ID")"));
}

TEST_CASE("cluster events have their numbers as ids and resume after one", "[gateway]") {
  GatewayFixture gateway;
  for (uint64_t seq = 1; seq <= 3; ++seq) gateway.service().add_event(event_number(seq));
  RawHttp client(gateway.address());

  client.send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 2\r\n\r\n");
  const RawResponse head = client.receive_head();
  const auto third = client.read_chunk();
  gateway.service().add_event(event_number(4));
  const auto fourth = client.read_chunk();

  CHECK(head.header("content-type") == "text/event-stream");
  CHECK(third == "id: 3\ndata: {\"seq\":\"3\",\"deleted_job_id\":\"j3\"}\n\n");
  CHECK(fourth == "id: 4\ndata: {\"seq\":\"4\",\"deleted_job_id\":\"j4\"}\n\n");
  client.close();
  CHECK(gateway.service().wait_until_idle(10));
}

TEST_CASE("a stream of events opens before the first event, or fails with a status", "[gateway]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());

  const RawResponse gone = client.request("GET", "/v1/events?since=99");
  client.send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto begun = std::chrono::steady_clock::now();
  const RawResponse head = client.receive_head();

  CHECK(gone.status == 416);
  CHECK(head.status == 200);
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
}

TEST_CASE("a reader that stops reading holds the service back and delays nobody", "[gateway]") {
  constexpr size_t kOutputBytes = 64U << 20;
  GatewayFixture gateway;
  gateway.start_job();
  gateway.service().append_output("job-1", std::string(kOutputBytes, 'x'));
  gateway.service().end_job("job-1", v1::Job::SUCCEEDED, {});
  RawHttp stalled(gateway.address());
  stalled.send(kFollow);
  CHECK(stalled.receive_head().status == 200);

  RawHttp reader(gateway.address());
  const RawResponse whole = reader.request("GET", "/v1/jobs/job-1/output");
  const uint64_t sent = gateway.service().output_bytes_sent();

  CHECK(whole.complete);
  CHECK(whole.body.size() == kOutputBytes);
  CHECK(sent < kOutputBytes + (16U << 20));  // sockets hold some megabytes
  CHECK(reader.request("GET", "/healthz").status == 200);
  stalled.close();
  CHECK(gateway.service().wait_until_idle(10));
}
