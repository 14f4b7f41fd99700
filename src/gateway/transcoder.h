#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/http_message.h"
#include "gateway/route_table.h"
#include "google/protobuf/message.h"

namespace clusterd::gateway {

using MessagePtr = std::unique_ptr<google::protobuf::Message>;

// A new message of a type that is linked into this program.
[[nodiscard]] MessagePtr new_message(const google::protobuf::Descriptor& type);

// The request message of the matched route from body, query, path and `Idempotency-Key`.
// INVALID_ARGUMENT names the field, or the position in malformed JSON: a value in the body that
// differs from the path's, a parameter that is unknown, given twice, or belongs into the body.
[[nodiscard]] absl::StatusOr<MessagePtr> request_message(const RouteTable::Match& match,
                                                         const HttpRequest& request);

// A message as JSON on one line: the proto's field names, fields without presence always there.
// INTERNAL where protobuf cannot print it.
[[nodiscard]] absl::StatusOr<std::string> to_json(const google::protobuf::Message& message);

// `pattern` with each {field} replaced by that string field of `message`, escaped.
[[nodiscard]] std::string expand_location(std::string_view pattern,
                                          const google::protobuf::Message& message);

// How long a call with this request may take: 30 s, or its `timeout` (by default 30 s too) and
// 10 s more where it has one; never above 15 min.
[[nodiscard]] std::chrono::nanoseconds call_timeout(const google::protobuf::Message& request);

}  // namespace clusterd::gateway
