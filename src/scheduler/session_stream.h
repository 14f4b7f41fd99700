#pragma once

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <optional>

#include "clusterd/v1/cluster_service.pb.h"
#include "scheduler/scheduler_app.h"

namespace clusterd {

// The scheduler's end of one worker's Session.
//
// gRPC's callbacks only post; everything else runs on the core thread, so that the queue of
// messages needs no lock. Deletes itself on the core thread after OnDone.
class SessionStream final
    : public grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse> {
 public:
  explicit SessionStream(SchedulerApp& app);

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
  const StreamId id_;
  v1::SessionRequest incoming_;
  bool opened_ = false;
  bool writing_ = false;
  bool finished_ = false;
  std::optional<absl::Status> closing_;
  std::deque<v1::SessionResponse> outgoing_;  // bounded: see kMostOutgoing
};

}  // namespace clusterd
