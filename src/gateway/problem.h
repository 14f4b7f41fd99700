#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "core/json_quote.h"
#include "gateway/http_message.h"

namespace clusterd::gateway {

// What tells one gRPC code over HTTP.
struct CodeName {
  absl::StatusCode code;
  std::string_view name;  // "INVALID_ARGUMENT"
  int http_status;
};

// The one table between gRPC codes and HTTP. A code that it does not have is UNKNOWN's row.
[[nodiscard]] const CodeName& code_name(absl::StatusCode code);

// An `application/problem+json` answer (RFC 9457) about `status`, which is not OK: type, title,
// status, detail, code, and `field` where the error names one; `Retry-After` where the caller
// may try again. `http_status` replaces the table's where it is not 0 (405, 413, …).
[[nodiscard]] HttpResponse problem(const absl::Status& status, int http_status = 0);

// Seconds for `Retry-After`: what the error tells, rounded up; 1 for RESOURCE_EXHAUSTED without.
// Empty: no header.
[[nodiscard]] std::string retry_after(const absl::Status& status);

}  // namespace clusterd::gateway
