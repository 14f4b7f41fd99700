#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "clusterd/client.h"
#include "clusterd/v1/scheduler_service.grpc.pb.h"
#include "core/file_watch.h"
#include "rpc/tls_keeper.h"

namespace clusterd {

// A scheduler as a client reaches it. Shared by the calls that use it and, while it is current, by
// ClientChannels.
struct ClientEndpoint {
  std::string address;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::SchedulerService::Stub> stub;
};

// The addresses of a cluster and which of them is called: the one that answered last.
//
// Owned by Client; any thread. Has a mutex (see docs/architecture.md#threads): calls begin and end
// on many threads.
class ClientChannels {
 public:
  // INVALID_ARGUMENT names the option that is at fault.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ClientChannels>> make(
      const ClientOptions& options);

  // The one to call now, with the certificates that are current.
  [[nodiscard]] std::shared_ptr<ClientEndpoint> current();
  // It does not answer: the next one is current, unless somebody has moved on already.
  void leave(const ClientEndpoint& endpoint);
  [[nodiscard]] size_t size() const { return addresses_.size(); }

 private:
  struct Tls {
    std::unique_ptr<TlsKeeper> keeper;
    FileWatch files;
  };

  explicit ClientChannels(std::vector<std::string> addresses) : addresses_(std::move(addresses)) {}
  void connect();

  const std::vector<std::string> addresses_;
  std::mutex mutex_;
  std::optional<Tls> tls_;                                  // guarded by mutex_; none: plaintext
  std::vector<std::shared_ptr<ClientEndpoint>> endpoints_;  // guarded by mutex_
  size_t current_ = 0;                                      // guarded by mutex_
  std::chrono::steady_clock::time_point next_look_;         // guarded by mutex_
};

}  // namespace clusterd
