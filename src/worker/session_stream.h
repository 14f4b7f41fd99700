#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "clusterd/v1/cluster_service.grpc.pb.h"

namespace clusterd {

// What a ClientSessionStream tells its owner, on gRPC's threads; the owner posts.
struct SessionStreamObserver {
  absl::AnyInvocable<void(v1::SessionResponse)> on_message;
  absl::AnyInvocable<void()> on_written;
  absl::AnyInvocable<void()> on_broken;            // nothing more can be read or written
  absl::AnyInvocable<void(absl::Status)> on_done;  // the stream may be destroyed now
};

// One Session call. Owned by SessionClient, which destroys it after on_done; start, write and
// close are called on the core thread, the overrides on gRPC's.
class ClientSessionStream final
    : public grpc::ClientBidiReactor<v1::SessionRequest, v1::SessionResponse> {
 public:
  explicit ClientSessionStream(SessionStreamObserver observer);

  // `stub` may go once this returns.
  void start(v1::ClusterService::StubInterface& stub);
  // Only when the last write was told by on_written, and not after close.
  void write(v1::SessionRequest request);
  // Ends the call; on_done follows soon. Repeated calls do nothing.
  void close();

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  SessionStreamObserver observer_;
  grpc::ClientContext context_;
  v1::SessionRequest out_;
  v1::SessionResponse in_;
  bool closed_ = false;
};

}  // namespace clusterd
