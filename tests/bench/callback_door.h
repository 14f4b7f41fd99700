#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "clusterd/v1/worker_service.grpc.pb.h"
#include "worker/unique_fd.h"

namespace clusterd::bench {

class SimulatedFleet;

// Listens on any free port of every address of the loopback interface, and of no other interface.
struct LoopbackListener {
  UniqueFd fd;
  uint16_t port = 0;

  // UNAVAILABLE: it cannot listen.
  [[nodiscard]] static absl::StatusOr<LoopbackListener> open();
};

// Each member has an address of its own in 127.0.0.0/8, all of them on one port.
inline constexpr uint32_t kMostMembers = 65'536;
[[nodiscard]] std::string callback_address(uint32_t member, uint16_t port);
// The member with that address; nullopt: none can have it.
[[nodiscard]] std::optional<uint32_t> member_at(std::string_view address);

// Where the scheduler calls back: one gRPC server for all members, which a call's :authority tells
// apart.
//
// Owned by main. A thread accepts connections, gRPC's serve them; ends with its destructor.
class CallbackDoor final : public v1::WorkerService::CallbackService {
 public:
  // `fleet` outlives this.
  CallbackDoor(LoopbackListener listener, SimulatedFleet& fleet);
  ~CallbackDoor() override;

  grpc::ServerUnaryReactor* Identify(grpc::CallbackServerContext* context,
                                     const v1::IdentifyRequest* request,
                                     v1::WorkerIdentity* response) override;
  grpc::ServerUnaryReactor* StartJobs(grpc::CallbackServerContext* context,
                                      const v1::StartJobsRequest* request,
                                      v1::StartJobsResponse* response) override;
  grpc::ServerUnaryReactor* StopJobs(grpc::CallbackServerContext* context,
                                     const v1::StopJobsRequest* request,
                                     v1::StopJobsResponse* response) override;

 private:
  void accept_connections();

  const LoopbackListener listener_;
  SimulatedFleet& fleet_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::thread thread_;
};

}  // namespace clusterd::bench
