#pragma once

#include <string_view>

namespace clusterd {

// True for a `traceparent` of W3C Trace Context: "00-<32 hex>-<16 hex>-<2 hex>" in lower case, with
// neither id all zeros; of a later version also with more behind it. At most 128 bytes.
[[nodiscard]] bool is_trace_parent(std::string_view text);

// The trace id in it, 32 hex digits; empty where it is none of that form. Part of `trace_parent`.
[[nodiscard]] std::string_view trace_id_of(std::string_view trace_parent);

}  // namespace clusterd
