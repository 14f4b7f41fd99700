#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"

namespace clusterd {

// An error about one field of a request, with a google.rpc.BadRequest payload that travels to the
// caller. `message` names the value and what is allowed; the field's name is put before it.
[[nodiscard]] absl::Status field_error(absl::StatusCode code, std::string_view field,
                                       std::string_view message);
// The same with INVALID_ARGUMENT.
[[nodiscard]] absl::Status invalid_field(std::string_view field, std::string_view message);

// The field that an error is about; empty where it names none.
[[nodiscard]] std::string field_of(const absl::Status& status);

// RESOURCE_EXHAUSTED or UNAVAILABLE with a google.rpc.RetryInfo payload.
[[nodiscard]] absl::Status with_retry_delay(absl::Status status, std::chrono::nanoseconds delay);
[[nodiscard]] std::optional<std::chrono::nanoseconds> retry_delay_of(const absl::Status& status);

// Between absl::Status with its payloads and the message that carries both over a wire.
[[nodiscard]] google::rpc::Status to_proto(const absl::Status& status);
[[nodiscard]] absl::Status from_proto(const google::rpc::Status& status);

}  // namespace clusterd
