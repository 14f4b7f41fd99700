#pragma once

#include "clusterd/v1/cluster_service.grpc.pb.h"
#include "rpc/access_control.h"
#include "scheduler/scheduler_app.h"

namespace clusterd {

// What workers call: translates between gRPC and the app. With certificates, a worker speaks for
// the name in its own and for no other. Any thread. `app` and `access` outlive the server.
class ClusterServiceImpl final : public v1::ClusterService::CallbackService {
 public:
  ClusterServiceImpl(SchedulerApp& app, AccessControl& access) : app_(app), access_(access) {}

  grpc::ServerUnaryReactor* RegisterWorker(grpc::CallbackServerContext* context,
                                           const v1::RegisterWorkerRequest* request,
                                           v1::RegisterWorkerResponse* response) override;
  grpc::ServerUnaryReactor* DeregisterWorker(grpc::CallbackServerContext* context,
                                             const v1::DeregisterWorkerRequest* request,
                                             v1::DeregisterWorkerResponse* response) override;
  grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* Session(
      grpc::CallbackServerContext* context) override;

 private:
  SchedulerApp& app_;
  AccessControl& access_;
};

}  // namespace clusterd
