#include <catch2/catch.hpp>
#include <chrono>
#include <thread>
#include <vector>

#include "core/field_error.h"
#include "integration/gateway_fixture.h"
#include "rpc/grpc_status.h"

using namespace clusterd;
using namespace clusterd::testing;
using namespace std::chrono_literals;

TEST_CASE("a job is started, shown, listed and stopped over HTTP", "[gateway]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());

  const RawResponse started =
      client.request("POST", "/v1/jobs", R"({"worker_id": "one", "path": "a b.sh"})");
  const RawResponse shown = client.request("GET", "/v1/jobs/job-1");
  const RawResponse listed = client.request("GET", "/v1/workers/w1/jobs?state=running");
  const RawResponse stopped = client.request("POST", "/v1/jobs/job-1/stop", R"({"reason": "x"})");

  CHECK(started.status == 201);
  CHECK(started.header("location") == "/v1/jobs/job-1");
  CHECK(started.header("content-type") == "application/json");
  CHECK_THAT(started.body, Catch::Contains(R"("job_id":"job-1")"));
  CHECK(shown.status == 200);
  CHECK_THAT(shown.body, Catch::Contains(R"("path":"a b.sh")"));
  CHECK(listed.status == 200);
  CHECK_THAT(listed.body, Catch::StartsWith(R"({"jobs":[{)"));
  CHECK_THAT(listed.body, Catch::Contains(R"("next_page_token":"")"));
  CHECK(gateway.service().last_list().worker_id() == "w1");
  CHECK(gateway.service().last_list().state(0) == v1::Job::RUNNING);
  CHECK(stopped.status == 200);
}

TEST_CASE("errors are problem documents with the true status", "[gateway]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());

  const RawResponse script = client.request("POST", "/v1/jobs", R"({"path": "missing.sh"})");
  const RawResponse command = client.request("POST", "/v1/jobs", R"({"command": "forbidden"})");
  const RawResponse worker = client.request("POST", "/v1/workers/none/jobs", "{}");
  const RawResponse full = client.request("POST", "/v1/jobs", R"({"name": "full"})");
  const RawResponse malformed = client.request("POST", "/v1/jobs", "{\n \"path\": }");
  const RawResponse unknown = client.request("POST", "/v1/jobs", R"({"pth": "a"})");
  const RawResponse unmade = client.request("GET", "/v1/cluster");

  CHECK(script.status == 400);
  CHECK(script.header("content-type") == "application/problem+json");
  CHECK_THAT(script.body, Catch::Contains(R"("field":"path")"));
  CHECK(command.status == 403);
  CHECK_THAT(command.body, Catch::Contains(R"("field":"command")"));
  CHECK(worker.status == 404);
  CHECK_THAT(worker.body, Catch::Contains(R"("code":"NOT_FOUND")"));
  CHECK(full.status == 429);
  CHECK(full.header("retry-after") == "3");
  CHECK(malformed.status == 400);
  CHECK_THAT(malformed.body, Catch::Contains("line 2, column 10"));
  CHECK(unknown.status == 400);
  CHECK_THAT(unknown.body, Catch::Contains(R"("field":"pth")"));
  CHECK(unmade.status == 501);
  CHECK(gateway.service().job_count() == 0);
}

TEST_CASE("a repeated key gives the first job again", "[gateway]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());

  const RawResponse first = client.request("POST", "/v1/jobs", "{}", "Idempotency-Key: k\r\n");
  const RawResponse again = client.request("POST", "/v1/jobs", "{}", "idempotency-key: k\r\n");

  CHECK(first.header("location") == "/v1/jobs/job-1");
  CHECK(again.header("location") == "/v1/jobs/job-1");
  CHECK(again.status == 201);
  CHECK(gateway.service().job_count() == 1);
}

TEST_CASE("paths and methods that are not there are told apart", "[gateway]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());

  CHECK(client.request("GET", "/v1/nothing").status == 404);
  const RawResponse put = client.request("PUT", "/v1/jobs", "{}");
  CHECK(put.status == 405);
  CHECK(put.header("allow") == "GET, HEAD, POST");
  const RawResponse start = client.request("GET", "/start");
  CHECK(start.status == 405);
  CHECK(start.header("allow") == "POST");
  CHECK(client.request("POST", "/healthz").header("allow") == "GET, HEAD");
  CHECK(client.request("BREW", "/v1/jobs").status == 405);
}

TEST_CASE("HEAD answers as GET without a body", "[gateway]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());
  gateway.start_job();

  const RawResponse head = client.request("HEAD", "/v1/jobs/job-1");
  const RawResponse get = client.request("GET", "/v1/jobs/job-1");
  const RawResponse output = client.request("HEAD", "/v1/jobs/job-1/output");
  const RawResponse probe = client.request("HEAD", "/healthz");

  CHECK(head.status == 200);
  CHECK(head.header("content-length") == get.header("content-length"));
  CHECK(output.status == 200);
  CHECK(output.header("clusterd-attempt") == "1");
  CHECK(probe.status == 200);
}

TEST_CASE("path variables are decoded", "[gateway]") {
  GatewayFixture gateway;
  RawHttp client(gateway.address());
  gateway.start_job();

  CHECK(client.request("GET", "/v1/jobs/job%2D1").status == 200);
  CHECK_THAT(client.request("GET", "/v1/jobs/a%2Fb%20c").body, Catch::Contains("no job a/b c"));
  CHECK(client.request("GET", "/v1/jobs/%zz").status == 400);
}

TEST_CASE("probes tell whether the daemon is ready, whatever the host", "[gateway]") {
  absl::StatusOr<std::string> ready = absl::UnavailableError("the store is away");
  GatewayFixture gateway({}, [&ready] { return ready; });
  RawHttp client(gateway.address());

  const RawResponse away = client.request("GET", "/readyz");
  ready = "leader 10.0.0.1:50000\n";
  const RawResponse there = client.request("GET", "/readyz");
  client.send("GET /healthz HTTP/1.1\r\nHost: pod.example\r\n\r\n");
  const RawResponse health = client.receive();

  CHECK(away.status == 503);
  CHECK_THAT(away.body, Catch::Contains("the store is away"));
  CHECK(there.status == 200);
  CHECK(there.body == "ok\nleader 10.0.0.1:50000\n");
  CHECK(health.status == 200);
  CHECK(health.body == "ok\n");
}

TEST_CASE("foreign hosts and foreign pages are refused", "[gateway]") {
  SchedulerConfig::HttpServer config;
  config.allowed_hosts = {"clusterd.example"};
  GatewayFixture gateway(config);
  RawHttp client(gateway.address());
  const auto host = [&client](const std::string& name) {
    client.send("GET /v1/jobs HTTP/1.1\r\nHost: " + name + "\r\n\r\n");
    return client.receive().status;
  };

  CHECK(host("evil.example") == 403);
  CHECK(host("clusterd.example:3000") == 200);
  CHECK(host("localhost") == 200);
  CHECK(client.request("POST", "/v1/jobs", "{}", "Origin: http://evil.example\r\n").status == 403);
  CHECK(client.request("POST", "/start", "{}", "Sec-Fetch-Site: cross-site\r\n").body ==
        "{\"error\":\"a page of another site sent this (Sec-Fetch-Site: cross-site)\"}\n");
  CHECK(client.request("POST", "/v1/jobs", "{}", "Origin: http://" + gateway.address() + "\r\n")
            .status == 201);
  CHECK(gateway.service().job_count() == 1);
}

TEST_CASE("a wait ends with the job, and is given up when its client goes", "[gateway]") {
  GatewayFixture gateway;
  gateway.start_job();
  for (const std::string timeout : {"600s", "20s"}) {
    RawHttp gone(gateway.address());
    gone.send("GET /v1/jobs/job-1/wait?timeout=" + timeout +
              " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    gone.close();

    CHECK(gateway.service().wait_until_idle(10));
  }

  RawHttp client(gateway.address());
  client.send("GET /v1/jobs/job-1/wait?timeout=60s HTTP/1.1\r\nHost: localhost\r\n\r\n");
  gateway.service().end_job("job-1", v1::Job::SUCCEEDED, {});
  const RawResponse response = client.receive();
  CHECK(response.status == 200);
  CHECK_THAT(response.body, Catch::Contains(R"("state":"SUCCEEDED")"));
}

TEST_CASE("a thousand requests over 64 connections are all answered", "[gateway]") {
  GatewayFixture gateway;
  std::vector<std::thread> threads;
  std::atomic<int> created = 0;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&gateway, &created] {
      RawHttp client(gateway.address());
      for (int k = 0; k < 16; ++k) {
        if (client.request("POST", "/v1/jobs", R"({"path": "a"})").status == 201) ++created;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  CHECK(created == 64 * 16);
  CHECK(gateway.service().job_count() == 64 * 16);
}

TEST_CASE("a stop lets a request finish and cuts streams", "[gateway]") {
  GatewayFixture gateway;
  gateway.start_job();
  gateway.service().append_output("job-1", "some");
  RawHttp stream(gateway.address());
  RawHttp idle(gateway.address());
  CHECK(idle.request("GET", "/healthz").status == 200);
  stream.send("GET /v1/jobs/job-1/output?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(stream.receive_head().status == 200);
  CHECK(stream.read_chunk() == "some");
  RawHttp waiting(gateway.address());
  waiting.send("GET /v1/jobs/job-1/wait?timeout=60s HTTP/1.1\r\nHost: localhost\r\n\r\n");
  gateway.service().wait_for_waits(1);

  const auto begun = std::chrono::steady_clock::now();
  gateway.stop();

  CHECK(std::chrono::steady_clock::now() - begun < 2s);
  CHECK_FALSE(stream.read_chunk().has_value());
  CHECK(idle.at_end());
  const RawResponse unknown = waiting.receive();
  CHECK(unknown.status == 503);  // it did not cancel anything
  CHECK_THAT(unknown.body, Catch::Contains("UNAVAILABLE"));
  CHECK(gateway.service().wait_until_idle(5));
}

TEST_CASE("an address that is taken is an error", "[gateway]") {
  GatewayFixture gateway;
  SchedulerConfig::HttpServer config;
  config.addr = gateway.address();
  const CallerRules callers({});
  HttpGateway second(
      config, gateway.channel(), [] { return absl::OkStatus(); }, false, callers);

  const absl::Status status = second.start();

  CHECK(absl::IsUnavailable(status));
  CHECK_THAT(std::string(status.message()), Catch::Contains(gateway.address()));
}
