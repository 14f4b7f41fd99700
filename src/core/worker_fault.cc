#include "core/worker_fault.h"

#include <string>

#include "absl/strings/cord.h"
#include "google/rpc/error_details.pb.h"

namespace clusterd {
namespace {

constexpr absl::string_view kErrorInfoUrl = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kReason[] = "WORKER_AT_FAULT";
constexpr char kDomain[] = "clusterd";

}  // namespace

absl::Status by_workers_fault(absl::Status status) {
  google::rpc::ErrorInfo info;
  info.set_reason(kReason);
  info.set_domain(kDomain);
  status.SetPayload(kErrorInfoUrl, absl::Cord(info.SerializeAsString()));
  return status;
}

bool is_workers_fault(const absl::Status& status) {
  const auto payload = status.GetPayload(kErrorInfoUrl);
  google::rpc::ErrorInfo info;
  return payload && info.ParseFromString(std::string(*payload)) && info.reason() == kReason &&
         info.domain() == kDomain;
}

}  // namespace clusterd
