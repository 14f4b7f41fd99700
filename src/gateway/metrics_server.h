#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace clusterd {

// A small HTTP server for what a daemon without an API has to say of itself: GET /metrics and
// /healthz, one request a connection. It takes nothing else: no body, no more than a few KiB, and
// nobody who is slow.
//
// Owned by run_worker(). One thread of its own, from start() to the destructor, which joins it.
class MetricsServer {
 public:
  // Makes the page; called on the server's thread, must not block.
  using Source = std::function<std::string()>;

  // INVALID_ARGUMENT: no address; UNAVAILABLE: it cannot be bound.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<MetricsServer>> start(const std::string& addr,
                                                                            Source source);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  // HOST:PORT that it listens on.
  [[nodiscard]] std::string address() const;

 private:
  class Listener;
  explicit MetricsServer(std::unique_ptr<Listener> listener);

  std::unique_ptr<Listener> listener_;
};

}  // namespace clusterd
