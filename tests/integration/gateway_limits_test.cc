#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "integration/gateway_fixture.h"

using namespace clusterd;
using namespace clusterd::testing;
using namespace std::chrono_literals;

namespace {

std::string head(const std::string& line) { return line + " HTTP/1.1\r\nHost: localhost\r\n"; }

std::string post_of(size_t bytes) {
  return head("POST /v1/jobs") + "Content-Length: " + std::to_string(bytes) + "\r\n\r\n";
}

}  // namespace

TEST_CASE("more headers than allowed are 431", "[gateway][limits]") {
  SchedulerConfig::HttpServer config;
  config.max_headers = 10;
  GatewayFixture gateway(config);
  RawHttp within(gateway.address());
  RawHttp beyond(gateway.address());
  std::string headers;
  for (int i = 0; i < 9; ++i) headers += "X-" + std::to_string(i) + ": y\r\n";

  within.send(head("GET /healthz") + headers + "\r\n");
  beyond.send(head("GET /healthz") + headers + "One-More: y\r\n\r\n");

  CHECK(within.receive().status == 200);
  const RawResponse refused = beyond.receive();
  CHECK(refused.status == 431);
  CHECK_THAT(refused.body, Catch::Contains("more than 10 headers"));
}

TEST_CASE("a body that trickles is 408 although it never pauses for long", "[gateway][limits]") {
  SchedulerConfig::HttpServer config;
  config.body_timeout = 300ms;
  config.min_body_rate_bytes = 1 << 20;
  GatewayFixture gateway(config);
  RawHttp client(gateway.address());

  const auto start = std::chrono::steady_clock::now();
  client.send(post_of(1000));
  while (!client.has_answer(50ms) && std::chrono::steady_clock::now() < start + 5s) {
    client.send(" ");
  }

  CHECK(client.receive().status == 408);
  CHECK(std::chrono::steady_clock::now() < start + 3s);
}

TEST_CASE("a reader that takes nothing of a stream is cut", "[gateway][limits]") {
  SchedulerConfig::HttpServer config;
  config.stream_write_timeout = 200ms;
  GatewayFixture gateway(config);
  gateway.start_job();
  RawHttp client(gateway.address());
  client.send(head("GET /v1/jobs/job-1/output?follow") + "\r\n");
  CHECK(client.receive_head().status == 200);

  gateway.service().append_output("job-1", std::string(64 << 20, 'x'));

  CHECK(gateway.service().wait_until_idle(10));
  CHECK(gateway.service().output_bytes_sent() < 64 << 20);
}

TEST_CASE("a reader that is only slow is not cut", "[gateway][limits]") {
  SchedulerConfig::HttpServer config;
  config.stream_write_timeout = 300ms;
  GatewayFixture gateway(config);
  gateway.start_job();
  RawHttp client(gateway.address());
  client.send(head("GET /v1/jobs/job-1/output?follow") + "\r\n");
  CHECK(client.receive_head().status == 200);

  for (const char* piece : {"a", "b", "c"}) {
    CHECK_FALSE(client.has_answer(400ms));  // nothing to take is no stand-still
    gateway.service().append_output("job-1", piece);
    CHECK(client.read_chunk() == piece);
  }
}

TEST_CASE("a client's rate is bounded, and told when to come again", "[gateway][limits]") {
  SchedulerConfig::HttpServer config;
  config.max_request_rate = 5;
  GatewayFixture gateway(config);
  RawHttp client(gateway.address());
  RawHttp other(gateway.address(), "127.0.0.2");

  std::string many;
  for (int i = 0; i < 10; ++i) many += head("GET /healthz") + "\r\n";
  client.send(many);
  int served = 0;
  RawResponse refused;
  for (int i = 0; i < 10; ++i) {
    const RawResponse response = client.receive();
    if (response.status == 200) {
      ++served;
    } else {
      refused = response;
    }
  }

  CHECK(served >= 4);  // the connection itself was one
  CHECK(served < 8);
  CHECK(refused.status == 429);
  CHECK(refused.header("retry-after") == "1");
  CHECK_THAT(refused.body, Catch::Contains("http_server.max_request_rate allows 5"));
  CHECK(other.request("GET", "/healthz").status == 200);
}

TEST_CASE("a client's streams and waits are bounded together", "[gateway][limits]") {
  SchedulerConfig::HttpServer config;
  config.max_streams_per_client = 2;
  GatewayFixture gateway(config);
  gateway.start_job();
  RawHttp follower(gateway.address());
  RawHttp watcher(gateway.address());
  RawHttp third(gateway.address());
  RawHttp other(gateway.address(), "127.0.0.2");
  follower.send(head("GET /v1/jobs/job-1/output?follow") + "\r\n");
  CHECK(follower.receive_head().status == 200);
  watcher.send(head("GET /v1/jobs/job-1/wait?timeout=60s") + "\r\n");
  gateway.service().wait_for_waits(1);

  CHECK(third.request("GET", "/v1/events").status == 429);
  CHECK(third.request("GET", "/v1/jobs/job-1/output?follow").status == 429);
  CHECK(third.request("GET", "/v1/jobs/job-1/wait?timeout=50s").status == 429);
  CHECK(third.request("POST", "/output", R"({"worker_id":"w1","job_id":"job-1"})").status == 429);
  CHECK(third.request("GET", "/v1/jobs/job-1").status == 200);
  other.send(head("GET /v1/jobs/job-1/output?follow") + "\r\n");
  CHECK(other.receive_head().status == 200);
  follower.close();
  gateway.service().end_job("job-1", v1::Job::SUCCEEDED, {});
  CHECK(watcher.receive().status == 200);
  int status = 429;  // until the end of the other two is known
  for (int tries = 0; tries < 500 && status == 429; ++tries) {
    status = third.request("GET", "/v1/jobs/job-1/output?follow").status;
    std::this_thread::sleep_for(10ms);
  }
  CHECK(status == 200);
}

TEST_CASE("an idle connection gives way to one that asks", "[gateway][limits]") {
  SchedulerConfig::HttpServer config;
  config.max_connections = 2;
  GatewayFixture gateway(config);
  RawHttp idle(gateway.address());
  CHECK(idle.request("GET", "/healthz").status == 200);
  RawHttp slow(gateway.address());
  slow.send("GET /healthz HTT");

  RawHttp first(gateway.address());
  CHECK(first.request("GET", "/healthz").status == 200);
  RawHttp second(gateway.address());
  CHECK(second.request("GET", "/healthz").status == 200);

  CHECK(idle.at_end());
  CHECK(slow.at_end());
}

TEST_CASE("connections beyond the limit are turned away", "[gateway][limits]") {
  SchedulerConfig::HttpServer config;
  config.max_connections = 1;
  GatewayFixture gateway(config);
  RawHttp first(gateway.address());
  first.send(head("GET /v1/events") + "\r\n");
  CHECK(first.receive_head().status == 200);

  RawHttp second(gateway.address(), "127.0.0.2");

  const RawResponse refused = second.receive();
  CHECK(refused.status == 503);
  CHECK(refused.header("retry-after") == "1");
  CHECK_THAT(refused.body, Catch::Contains("all connections are in use"));
  v1::Event event;
  event.set_seq(1);
  gateway.service().add_event(event);
  CHECK(first.read_chunk().has_value());
}

TEST_CASE("one client's connections are bounded, another's are not", "[gateway][limits]") {
  SchedulerConfig::HttpServer config;
  config.max_connections_per_client = 1;
  GatewayFixture gateway(config);
  RawHttp first(gateway.address());
  first.send(head("GET /v1/events") + "\r\n");
  CHECK(first.receive_head().status == 200);

  RawHttp second(gateway.address());
  RawHttp other(gateway.address(), "127.0.0.2");

  CHECK(second.receive().status == 429);
  CHECK(other.request("GET", "/healthz").status == 200);
}

TEST_CASE("bodies of one client never keep another's out", "[gateway][limits]") {
  SchedulerConfig::HttpServer config;
  config.max_body_bytes = 1 << 20;
  config.max_request_memory_bytes = 2 << 20;
  GatewayFixture gateway(config);
  std::array<RawHttp, 3> clients = {RawHttp(gateway.address()), RawHttp(gateway.address()),
                                    RawHttp(gateway.address())};
  RawHttp other(gateway.address(), "127.0.0.2");

  for (RawHttp& client : clients) client.send(post_of(1 << 20) + std::string(900 << 10, ' '));
  RawHttp* refused = nullptr;  // the third to bring much, whichever that was
  for (int tries = 0; tries < 1000 && refused == nullptr; ++tries) {
    for (RawHttp& client : clients) {
      if (client.has_answer(5ms)) refused = &client;
    }
  }
  const RawResponse served = other.request("POST", "/v1/jobs", "{}" + std::string(500 << 10, ' '));

  REQUIRE(refused != nullptr);
  const RawResponse response = refused->receive();
  CHECK(response.status == 429);
  CHECK_THAT(response.body, Catch::Contains("http_server.max_request_memory"));
  CHECK(served.status == 201);
}
