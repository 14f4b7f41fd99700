#include "gateway/url.h"

#include <algorithm>

#include "core/utf8.h"

namespace clusterd::gateway {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_unreserved(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

}  // namespace

absl::StatusOr<std::string> percent_unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return absl::InvalidArgumentError("bad percent escape in '" + to_valid_utf8(text) + "'");
    }
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

absl::StatusOr<std::string> percent_decode(std::string_view text) {
  auto decoded = percent_unescape(text);
  if (!decoded.ok() || is_text(*decoded)) return decoded;
  return absl::InvalidArgumentError("'" + to_valid_utf8(text) + "' is not UTF-8 text");
}

bool is_text(std::string_view bytes) {
  return bytes.find('\0') == std::string_view::npos && is_valid_utf8(bytes);
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (is_unreserved(c)) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

absl::StatusOr<std::vector<QueryParameter>> parse_query(std::string_view query) {
  std::vector<QueryParameter> parameters;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    std::string part(query.substr(0, end));
    query.remove_prefix(std::min(end + 1, query.size()));
    if (part.empty()) continue;
    std::replace(part.begin(), part.end(), '+', ' ');
    const size_t equals = part.find('=');
    auto name = percent_decode(std::string_view(part).substr(0, equals));
    if (!name.ok()) return name.status();
    QueryParameter parameter{.name = *std::move(name), .has_value = equals != std::string::npos};
    if (parameter.has_value) {
      auto value = percent_decode(std::string_view(part).substr(equals + 1));
      if (!value.ok()) return value.status();
      parameter.value = *std::move(value);
    }
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

}  // namespace clusterd::gateway
