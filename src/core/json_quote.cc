#include "core/json_quote.h"

#include "core/utf8.h"

namespace clusterd {
namespace {

void append_escaped(std::string& out, char c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20) {
    out.push_back(c);
    return;
  }
  out += "\\u00";
  out.push_back(kDigits[byte >> 4]);
  out.push_back(kDigits[byte & 15]);
}

}  // namespace

std::string json_quote(std::string_view text) {
  std::string safe;
  if (!is_valid_utf8(text)) {
    safe = to_valid_utf8(text);
    text = safe;
  }
  std::string out = "\"";
  out.reserve(text.size() + 2);
  for (const char c : text) append_escaped(out, c);
  out += '"';
  return out;
}

}  // namespace clusterd
