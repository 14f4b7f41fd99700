#pragma once

#include <string_view>

namespace clusterd {

// True for a `traceparent` of W3C Trace Context: "00-<32 hex>-<16 hex>-<2 hex>" in lower case, with
// neither id all zeros; of a later version also with more behind it. At most 128 bytes.
[[nodiscard]] bool is_trace_parent(std::string_view text);

}  // namespace clusterd
