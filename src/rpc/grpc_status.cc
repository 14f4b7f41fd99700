#include "rpc/grpc_status.h"

#include "core/field_error.h"
#include "core/utf8.h"

namespace clusterd {

grpc::Status to_grpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status details = to_proto(status);
  details.set_message(to_valid_utf8(details.message()));
  return grpc::Status(static_cast<grpc::StatusCode>(details.code()), details.message(),
                      details.details().empty() ? std::string() : details.SerializeAsString());
}

absl::Status from_grpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  google::rpc::Status details;
  if (!status.error_details().empty() && details.ParseFromString(status.error_details()) &&
      details.code() == static_cast<int>(status.error_code())) {
    return from_proto(details);
  }
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace clusterd
