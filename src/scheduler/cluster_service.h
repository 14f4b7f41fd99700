#pragma once

#include "clusterd/v1/cluster_service.grpc.pb.h"
#include "scheduler/scheduler_app.h"

namespace clusterd {

// What workers call: translates between gRPC and the app. Any thread. `app` outlives the server.
class ClusterServiceImpl final : public v1::ClusterService::CallbackService {
 public:
  explicit ClusterServiceImpl(SchedulerApp& app) : app_(app) {}

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
};

}  // namespace clusterd
