#pragma once

#include <grpcpp/channel.h>

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/exchange.h"
#include "gateway/original_endpoints.h"
#include "gateway/route_table.h"
#include "gateway/service_channel.h"

namespace clusterd::gateway {

// Decides what a request is for and has it answered. Immutable, so the sessions of all threads
// share it; owned by HttpGateway, outlives every session.
class Dispatcher {
 public:
  // Tells whether the daemon can serve. Called on the gateway's threads; must not block.
  using Readiness = std::function<absl::Status()>;

  // INVALID_ARGUMENT where a route of the service cannot be understood.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Dispatcher>> make(
      std::shared_ptr<grpc::Channel> channel, std::vector<std::string> allowed_hosts,
      Readiness readiness, bool original_endpoints);

  asio::awaitable<void> handle(const Exchange& exchange) const;

 private:
  Dispatcher(std::shared_ptr<grpc::Channel> channel, std::vector<std::string> allowed_hosts,
             Readiness readiness, bool original_endpoints, RouteTable routes);

  [[nodiscard]] HttpResponse fixed_answer(const HttpRequest& request) const;
  asio::awaitable<void> handle_route(const Exchange& exchange) const;
  asio::awaitable<void> handle_call(const Exchange& exchange, const Route& route,
                                    MessagePtr request) const;

  const ServiceChannel channel_;
  const std::vector<std::string> allowed_hosts_;
  const Readiness readiness_;
  const bool has_original_endpoints_;
  const RouteTable routes_;
  const std::string openapi_;
  const OriginalEndpoints original_;
};

}  // namespace clusterd::gateway
