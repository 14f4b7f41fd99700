#include "rpc/call_gate.h"

#include <string_view>

#include "rpc/grpc_status.h"

namespace clusterd {
namespace {

// gRPC's own services; every other one is ours, and its handlers ask for themselves.
constexpr std::string_view kForeign = "/grpc.";

}  // namespace

grpc::Status CallGate::Process(const InputMetadata& metadata, grpc::AuthContext* connection,
                               OutputMetadata* /*consumed*/, OutputMetadata* /*response*/) {
  const auto path = metadata.find(":path");
  if (path == metadata.end()) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "the call names no method");
  }
  const std::string_view method(path->second.data(), path->second.size());
  if (!method.starts_with(kForeign)) return grpc::Status::OK;
  // Which address it comes from is not told here.
  return to_grpc(
      access_.admit({.connection = *connection, .metadata = metadata}, "", method).status());
}

}  // namespace clusterd
