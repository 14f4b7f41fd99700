#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace clusterd::gateway {

// `text` with each %XX replaced by its byte. INVALID_ARGUMENT for a bad escape.
[[nodiscard]] absl::StatusOr<std::string> percent_unescape(std::string_view text);

// The same where text is needed: INVALID_ARGUMENT too where the result is not text.
[[nodiscard]] absl::StatusOr<std::string> percent_decode(std::string_view text);

// UTF-8 without a NUL byte.
[[nodiscard]] bool is_text(std::string_view bytes);

// `text` as one path segment: everything but unreserved characters (RFC 3986) escaped.
[[nodiscard]] std::string percent_encode(std::string_view text);

struct QueryParameter {
  std::string name;
  std::string value;
  bool has_value = false;  // "a=" has one, "a" has not
};

// The parameters of a query string (without the '?') in order; '+' is a space, as forms write it.
// INVALID_ARGUMENT as percent_decode.
[[nodiscard]] absl::StatusOr<std::vector<QueryParameter>> parse_query(std::string_view query);

}  // namespace clusterd::gateway
