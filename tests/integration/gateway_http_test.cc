#include <catch2/catch.hpp>
#include <chrono>

#include "integration/gateway_fixture.h"

using namespace clusterd;
using namespace clusterd::testing;
using namespace std::chrono_literals;

namespace {

constexpr const char* kHost = "Host: localhost\r\n";

std::string head(const std::string& line) { return line + " HTTP/1.1\r\n" + kHost; }

}  // namespace

TEST_CASE("requests that are sent ahead are answered in order", "[gateway]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());

  client.send(head("GET /healthz") + "\r\n" + head("POST /v1/jobs") +
              "Content-Length: 2\r\n\r\n{}" + head("GET /v1/jobs/job-1") + "\r\n");

  CHECK(client.receive().body == "ok\n");
  CHECK(client.receive().status == 201);
  CHECK(client.receive().status == 200);
}

TEST_CASE("a request sent ahead during a stream is answered after it", "[gateway]") {
  GatewayFixture gateway;
  gateway.start_job();
  RawHttp client(gateway.address());

  client.send(head("GET /v1/jobs/job-1/output?follow") + "\r\n");
  gateway.service().append_output("job-1", "x");
  client.send(head("GET /healthz") + "\r\n");
  gateway.service().end_job("job-1", v1::Job::SUCCEEDED, {});
  const RawResponse stream = client.receive();
  const RawResponse next = client.receive();

  CHECK(stream.complete);
  CHECK(stream.body == "x");
  CHECK(next.body == "ok\n");
}

TEST_CASE("a body may come in chunks and in pieces", "[gateway]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());

  client.send(head("POST /v1/jobs") + "Transfer-Encoding: chu");
  client.send("nked\r\n\r\n7\r\n{\"path\"\r\n");
  client.send("6\r\n: \"a\"}\r\n0\r\n\r\n");

  CHECK_THAT(client.receive().body, Catch::Contains(R"("path":"a")"));
}

TEST_CASE("a client that asks first is told to go on", "[gateway]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());

  client.send(head("POST /v1/jobs") + "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  CHECK(client.receive_head().status == 100);
  client.send("{}");
  CHECK(client.receive().status == 201);
  client.send(head("POST /v1/jobs") + "Content-Length: 2\r\nExpect: money\r\n\r\n{}");
  CHECK(client.receive().status == 417);
}

TEST_CASE("a body beyond the limit is 413, by length and by chunks", "[gateway]") {
  SchedulerConfig::HttpServer config;
  config.max_body_bytes = 100;
  GatewayFixture gateway(config);
  RawHttp by_length(gateway.address());
  RawHttp by_chunks(gateway.address());
  RawHttp within(gateway.address());

  by_length.send(head("POST /v1/jobs") + "Content-Length: 101\r\n\r\n" + std::string(101, ' '));
  by_chunks.send(head("POST /v1/jobs") + "Transfer-Encoding: chunked\r\n\r\n64\r\n" +
                 std::string(100, ' ') + "\r\n1\r\n \r\n0\r\n\r\n");
  const RawResponse whole =
      within.request("POST", "/v1/jobs", "{\"path\":\"" + std::string(89, 'a') + "\"}");

  CHECK(by_length.receive().status == 413);
  CHECK(by_chunks.receive().status == 413);
  CHECK(whole.status == 201);
}

TEST_CASE("headers beyond the limit are 431", "[gateway]") {
  SchedulerConfig::HttpServer config;
  config.max_header_bytes = 1000;
  GatewayFixture gateway(config);
  RawHttp many(gateway.address());
  RawHttp endless(gateway.address());

  many.send(head("GET /healthz") + "X: " + std::string(1000, 'x') + "\r\n\r\n");
  endless.send("GET /" + std::string(5000, 'x'));

  CHECK(many.receive().status == 431);
  CHECK(endless.receive().status == 431);
}

TEST_CASE("a request that takes too long to arrive is 408", "[gateway]") {
  SchedulerConfig::HttpServer config;
  config.header_timeout = 50ms;
  config.body_timeout = 50ms;
  GatewayFixture gateway(config);
  RawHttp slow_head(gateway.address());
  RawHttp slow_body(gateway.address());

  slow_head.send("GET /healthz HTT");
  slow_body.send(head("POST /v1/jobs") + "Content-Length: 2\r\n\r\n{");

  CHECK(slow_head.receive().status == 408);
  CHECK(slow_body.receive().status == 408);
}

TEST_CASE("an idle connection is closed", "[gateway]") {
  SchedulerConfig::HttpServer config;
  config.idle_timeout = 50ms;
  GatewayFixture gateway(config);
  RawHttp fresh(gateway.address());
  RawHttp used(gateway.address());

  CHECK(used.request("GET", "/healthz").status == 200);

  CHECK(used.at_end());
  CHECK(fresh.at_end());
}

TEST_CASE("what is no HTTP is 400 and the connection's end", "[gateway]") {
  GatewayFixture gateway;
  const std::string cases[] = {
      "nonsense\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
      "GET ?/v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n",
      head("GET /healthz") + "bad header\r\n\r\n",
      head("POST /v1/jobs") + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
      head("POST /v1/jobs") + "Content-Length: x\r\n\r\n",
      head("POST /v1/jobs") + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
      head("POST /v1/jobs") + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
  };
  for (const std::string& text : cases) {
    CAPTURE(text);
    RawHttp client(gateway.address());
    client.send(text);
    const RawResponse response = client.receive();
    CHECK(response.status == 400);
    CHECK(response.header("connection") == "close");
    CHECK(client.at_end());
  }
  RawHttp client(gateway.address());
  client.send("GET /healthz HTTP/2.7\r\nHost: localhost\r\n\r\n");
  CHECK(client.receive().status == 505);
  CHECK(gateway.service().job_count() == 0);
}

TEST_CASE("a client decides whether the connection stays", "[gateway]") {
  GatewayFixture gateway;
  RawHttp closing(gateway.address());
  RawHttp old(gateway.address());
  RawHttp old_but_staying(gateway.address());

  CHECK(closing.request("GET", "/healthz", "", "Connection: close\r\n").status == 200);
  CHECK(closing.at_end());
  old.send("GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n");
  CHECK(old.receive().status == 200);
  CHECK(old.at_end());
  for (int i = 0; i < 2; ++i) {
    old_but_staying.send(
        "GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
    CHECK(old_but_staying.receive().header("connection") == "keep-alive");
  }
}

TEST_CASE("an absolute target is served by its own host", "[gateway]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());

  client.send("GET http://localhost/v1/jobs HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  CHECK(client.receive().status == 200);
  client.send("GET http://evil.example/v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(client.receive().status == 403);
}
