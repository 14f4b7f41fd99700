#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "gateway/route_table.h"
#include "google/protobuf/message.h"

namespace clusterd::gateway {

// Sets a field of `message` from text, as paths and queries give it: numbers in decimal, `true`
// and `false`, enums by name in any letter case, a Duration as "30s", a Timestamp as RFC 3339.
// A repeated field gets one more value. INVALID_ARGUMENT about `name` otherwise, `message` is
// then unchanged.
[[nodiscard]] absl::Status set_field_from_text(google::protobuf::Message& message,
                                               const FieldPath& path, std::string_view name,
                                               std::string_view text);

// The field named `name` (as in the proto or in lowerCamelCase); null where there is none.
[[nodiscard]] const google::protobuf::FieldDescriptor* find_field(
    const google::protobuf::Descriptor& type, std::string_view name);

// "one of RUNNING, FAILED": what may be given for an enum, its zero value left out.
[[nodiscard]] std::string allowed_names(const google::protobuf::EnumDescriptor& type);

// The string that `path` leads to; empty where a message on the way is absent.
[[nodiscard]] std::string string_at(const google::protobuf::Message& message,
                                    const FieldPath& path);

}  // namespace clusterd::gateway
