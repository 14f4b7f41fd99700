#pragma once

#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>

#include "gateway/http_gateway.h"
#include "rpc/credentials.h"
#include "support/fake_scheduler_service.h"
#include "support/raw_http.h"

namespace clusterd::testing {

// A gateway on a free port of loopback, in front of a fake service behind a portless server.
class GatewayFixture {
 public:
  explicit GatewayFixture(
      SchedulerConfig::HttpServer config = {},
      HttpGateway::Readiness readiness = [] { return std::string(); },
      bool original_endpoints = true, CallerRules::Settings callers = {})
      : callers_(std::move(callers)) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    config.addr = "127.0.0.1:0";
    gateway_ = std::make_unique<HttpGateway>(config, channel(), std::move(readiness),
                                             original_endpoints, callers_);
    const absl::Status status = gateway_->start();
    INFO(status.ToString());
    REQUIRE(status.ok());
  }
  ~GatewayFixture() {
    gateway_->stop();
    server_->Shutdown();
  }
  GatewayFixture(const GatewayFixture&) = delete;
  GatewayFixture& operator=(const GatewayFixture&) = delete;

  [[nodiscard]] std::shared_ptr<grpc::Channel> channel() {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
    return server_->InProcessChannel(arguments);
  }
  [[nodiscard]] std::string address() const { return gateway_->address(); }
  [[nodiscard]] FakeSchedulerService& service() { return service_; }
  void stop() { gateway_->stop(); }

  // Starts a job over HTTP; the first is "job-1".
  void start_job() {
    RawHttp client(address());
    REQUIRE(client.request("POST", "/v1/jobs", R"({"path": "a.sh"})").status == 201);
  }

 private:
  const CallerRules callers_;
  FakeSchedulerService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<HttpGateway> gateway_;
};

}  // namespace clusterd::testing
