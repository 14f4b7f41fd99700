#include "gateway/call_metadata.h"

#include <algorithm>

#include "core/trace_context.h"

namespace clusterd::gateway {
namespace {

constexpr std::string_view kTraceParent = "traceparent";

}  // namespace

HeaderList call_metadata(const HttpRequest& request) {
  HeaderList metadata;
  const auto count = std::count_if(request.headers.begin(), request.headers.end(),
                                   [](const auto& entry) { return entry.first == kTraceParent; });
  const auto trace_parent = request.header(kTraceParent);
  if (count == 1 && is_trace_parent(*trace_parent)) {
    metadata.emplace_back(kTraceParent, *trace_parent);
  }
  return metadata;
}

}  // namespace clusterd::gateway
