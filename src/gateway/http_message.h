#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clusterd::gateway {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// One request, read completely.
struct HttpRequest {
  std::string verb;       // "GET", as sent
  std::string path;       // escaped, without the query
  std::string query;      // escaped, without the '?'
  std::string authority;  // Host, or that of an absolute target
  int version = 11;       // 10 or 11
  bool keep_alive = true;
  HeaderList headers;  // names in lower case
  std::string body;

  // The first header named `name` (lower case).
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return std::nullopt;
  }
};

// One answer whose body is known.
struct HttpResponse {
  int status = 200;
  std::string content_type;  // empty: no header
  std::string body;
  HeaderList headers;
  bool close = false;  // end the connection after it
};

// "Not Found"; empty for a number that we do not use.
[[nodiscard]] std::string_view reason_phrase(int status);

}  // namespace clusterd::gateway
