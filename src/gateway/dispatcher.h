#pragma once

#include <grpcpp/channel.h>

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/metrics.h"
#include "gateway/exchange.h"
#include "gateway/http_metrics.h"
#include "gateway/original_endpoints.h"
#include "gateway/route_table.h"
#include "gateway/service_channel.h"
#include "rpc/caller_rules.h"

namespace clusterd::gateway {

// Decides what a request is for and has it answered. Immutable, so the sessions of all threads
// share it; owned by HttpGateway, outlives every session.
class Dispatcher {
 public:
  // As HttpGateway::Readiness.
  using Readiness = std::function<absl::StatusOr<std::string>()>;
  // Adds what the daemon counts to a page. As above.
  using MetricsSource = std::function<void(MetricsPage&)>;

  // INVALID_ARGUMENT where a route of the service cannot be understood. `callers` outlives this.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Dispatcher>> make(
      std::shared_ptr<grpc::Channel> channel, std::vector<std::string> allowed_hosts,
      Readiness readiness, MetricsSource metrics, bool original_endpoints,
      const CallerRules& callers);

  // The IP address of the client whose request it is: behind a proxy not the peer's.
  [[nodiscard]] std::string client_address(const HttpPeer& peer, const HttpRequest& request) const;
  asio::awaitable<void> handle(const Exchange& exchange) const;
  // Counts a request that was answered, by whomever, `time` after it had come.
  void count(const HttpRequest& request, const Responder& responder,
             std::chrono::nanoseconds time) const;

 private:
  Dispatcher(std::shared_ptr<grpc::Channel> channel, std::vector<std::string> allowed_hosts,
             Readiness readiness, MetricsSource metrics, bool original_endpoints,
             const CallerRules& callers, RouteTable routes);

  // Whether anybody may have it answered, or its caller, who is then known, may.
  [[nodiscard]] absl::Status admit(const Exchange& exchange) const;
  // What it counts under: a route as it is written in the schema, or a fixed path.
  [[nodiscard]] std::string label_of(const HttpRequest& request) const;
  asio::awaitable<void> answer_metrics(const Exchange& exchange) const;
  [[nodiscard]] HttpResponse metrics_page(const absl::StatusOr<MessagePtr>& cluster,
                                          const absl::StatusOr<MessagePtr>& workers,
                                          const absl::StatusOr<MessagePtr>& queues) const;
  asio::awaitable<absl::StatusOr<MessagePtr>> ask(const Exchange& exchange, const char* method,
                                                  const google::protobuf::Message& request) const;
  [[nodiscard]] HttpResponse fixed_answer(const HttpRequest& request) const;
  asio::awaitable<void> handle_route(const Exchange& exchange) const;
  asio::awaitable<void> handle_call(const Exchange& exchange, const Route& route,
                                    MessagePtr request) const;

  const ServiceChannel channel_;
  const std::vector<std::string> allowed_hosts_;
  const Readiness readiness_;
  const MetricsSource metrics_;
  const bool has_original_endpoints_;
  const CallerRules& callers_;
  const RouteTable routes_;
  const std::string openapi_;
  mutable HttpMetrics counted_;
  const OriginalEndpoints original_;
};

}  // namespace clusterd::gateway
