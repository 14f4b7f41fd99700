#pragma once

#include "clusterd/v1/cluster_service.grpc.pb.h"
#include "rpc/access_control.h"
#include "scheduler/leader_link.h"

namespace clusterd {

// What workers call of one of several schedulers: as SchedulerDoor. A worker's session goes through
// a scheduler that does not lead like everything else.
//
// Any thread; owned by run_scheduler, outlives the server.
class ClusterDoor final : public v1::ClusterService::CallbackService {
 public:
  using Service = v1::ClusterService::CallbackService;

  // All outlive this; `own` answers where this one leads.
  ClusterDoor(LeaderLink& link, AccessControl& access, Service& own)
      : link_(link), access_(access), own_(own) {}

  grpc::ServerUnaryReactor* RegisterWorker(grpc::CallbackServerContext* context,
                                           const v1::RegisterWorkerRequest* request,
                                           v1::RegisterWorkerResponse* response) override;
  grpc::ServerUnaryReactor* DeregisterWorker(grpc::CallbackServerContext* context,
                                             const v1::DeregisterWorkerRequest* request,
                                             v1::DeregisterWorkerResponse* response) override;
  grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* Session(
      grpc::CallbackServerContext* context) override;

 private:
  // Where to pass a call on to and for whom, or why it cannot be.
  [[nodiscard]] absl::StatusOr<Identity> admit(grpc::CallbackServerContext& context,
                                               const char* method, const LeaderLink::Route& route);

  LeaderLink& link_;
  AccessControl& access_;
  Service& own_;
};

}  // namespace clusterd
