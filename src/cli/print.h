#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

namespace clusterd {

// One JSON document with the protos' field names, as over HTTP, without a newline at its end.
[[nodiscard]] absl::StatusOr<std::string> to_json(const google::protobuf::Message& message);

// Writes everything to standard output. CANCELLED with an empty message where the reader has gone,
// INTERNAL where it cannot be written.
[[nodiscard]] absl::Status write_stdout(std::string_view bytes);
// The same to standard error.
[[nodiscard]] absl::Status write_stderr(std::string_view bytes);

// The exit code of a command that ends with `status`, which it reports where it is an error.
int finish(const absl::Status& status);
// The same after printing `text`, or instead of it.
int print_text(const absl::StatusOr<std::string>& text);

}  // namespace clusterd
