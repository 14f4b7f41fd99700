#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/config.h"
#include "core/metrics.h"
#include "core/reloader.h"
#include "rpc/caller_rules.h"

namespace clusterd {

// The HTTP server of the scheduler: JSON, raw output and server-sent events on top of
// SchedulerService, by the routes in the protos (docs/architecture.md).
//
// Owned by the scheduler's app object and used on its thread. Runs threads of its own from start()
// to stop(); the destructor stops. The channel's server must serve until stop() has returned.
class HttpGateway {
 public:
  // What there is to say of a daemon that can serve, a line each, or why it cannot. Called on the
  // gateway's threads; must not block.
  using Readiness = std::function<absl::StatusOr<std::string>()>;
  // Adds what the daemon counts to a page of metrics. As above.
  using MetricsSource = std::function<void(MetricsPage&)>;

  // `channel` leads to SchedulerService (an in-process channel whose server believes what this
  // says of its callers). `original_endpoints`: /start, /stop, /query and /output as well.
  // `callers` says who calls, and outlives this.
  HttpGateway(const SchedulerConfig::HttpServer& config, std::shared_ptr<grpc::Channel> channel,
              Readiness readiness, bool original_endpoints, const CallerRules& callers,
              MetricsSource metrics = {});
  ~HttpGateway();
  HttpGateway(const HttpGateway&) = delete;
  HttpGateway& operator=(const HttpGateway&) = delete;

  // Listens and serves. INVALID_ARGUMENT: the address or a TLS file is no good; UNAVAILABLE: the
  // address cannot be bound. Nothing runs after an error. At most once.
  [[nodiscard]] absl::Status start();

  // HOST:PORT that it listens on; after start().
  [[nodiscard]] std::string address() const;

  // What it reads again while it runs, for a Reloader that ends before this; after start(). New
  // connections use what is new; those whose client has been revoked end.
  [[nodiscard]] std::vector<Reloadable> reloadables();
  // The end of its certificate; none in plaintext. After start().
  [[nodiscard]] std::optional<std::chrono::system_clock::time_point> certificate_end() const;

  // Accepts nothing more, cuts streams and waits, lets other requests finish for up to a second,
  // joins its threads. Does nothing the second time.
  void stop();

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace clusterd
