#pragma once

#include <grpcpp/security/auth_metadata_processor.h>

#include "rpc/access_control.h"

namespace clusterd {

// Judges the calls that no handler of ours sees: health, reflection, methods that do not exist.
// With TLS only, which is where gRPC asks. gRPC's threads; owned by the server's credentials.
class CallGate final : public grpc::AuthMetadataProcessor {
 public:
  // `access` outlives the server.
  explicit CallGate(const AccessControl& access) : access_(access) {}

  [[nodiscard]] bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* connection,
                       OutputMetadata* consumed, OutputMetadata* response) override;

 private:
  const AccessControl& access_;
};

}  // namespace clusterd
