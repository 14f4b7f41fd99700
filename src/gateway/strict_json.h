#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace clusterd::gateway {

// Deepest nesting of objects and arrays that is read.
inline constexpr int kMaxJsonDepth = 32;

// Reads one JSON object (RFC 8259, no extensions) into `message` by protobuf's mapping, after a
// check that protobuf 3.21's own parser does not make. Fields go by their proto names or in
// lowerCamelCase. `message` is unspecified after an error.
//
// INVALID_ARGUMENT: malformed text ("line 2, column 7: …"), nesting beyond kMaxJsonDepth; or, as
// an error about the field's path ("retry.max_attempts", "args[2]"): unknown, given twice, of a
// wrong type, out of range.
[[nodiscard]] absl::Status parse_strict_json(std::string_view text,
                                             google::protobuf::Message& message);

}  // namespace clusterd::gateway
