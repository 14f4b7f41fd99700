#include <google/protobuf/util/json_util.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "clusterd/v1/scheduler_service.pb.h"
#include "gateway/strict_json.h"

// A body of any bytes is refused with a message, or becomes a request that survives its own wire
// form and can be shown as JSON again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  clusterd::v1::StartJobRequest request;
  const absl::Status status = clusterd::gateway::parse_strict_json(text, request);
  if (!status.ok()) {
    if (status.message().empty()) std::abort();
    return 0;
  }
  clusterd::v1::StartJobRequest again;
  if (!again.ParseFromString(request.SerializeAsString())) std::abort();
  std::string shown;
  if (!google::protobuf::util::MessageToJsonString(again, &shown).ok()) std::abort();
  return 0;
}
