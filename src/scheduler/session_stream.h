#pragma once

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <optional>

#include "clusterd/v1/cluster_service.pb.h"
#include "rpc/access_control.h"
#include "scheduler/scheduler_app.h"

namespace clusterd {

// The scheduler's end of one worker's Session.
//
// gRPC's callbacks only post; everything else runs on the core thread, so that the queue of
// messages needs no lock. Deletes itself on the core thread after OnDone.
class SessionStream final
    : public grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse> {
 public:
  // `caller` has been admitted; `access` outlives the server.
  SessionStream(SchedulerApp& app, AccessControl& access, grpc::CallbackServerContext& context,
                Identity caller);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  // Core thread.
  void received(Term* term);
  void send(v1::SessionResponse message);
  void close(const absl::Status& status);
  void write_next();

  SchedulerApp& app_;
  const Identity caller_;
  // Goes in OnDone, which is as long as gRPC keeps the call's context.
  std::optional<AccessControl::Stream> admitted_;
  const StreamId id_;
  v1::SessionRequest incoming_;
  bool opened_ = false;
  bool writing_ = false;
  bool finished_ = false;
  std::optional<absl::Status> closing_;
  std::deque<v1::SessionResponse> outgoing_;  // bounded: see kMostOutgoing
};

// OK where the caller is the worker of that name, or says no name. PERMISSION_DENIED: it is
// another.
[[nodiscard]] absl::Status check_name(const Identity& caller, const std::string& name);

}  // namespace clusterd
