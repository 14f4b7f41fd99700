#include "gateway/strict_json.h"

#include <boost/json/basic_parser_impl.hpp>

#include "core/utf8.h"
#include "gateway/json_checker.h"
#include "google/protobuf/util/json_util.h"

namespace clusterd::gateway {
namespace {

// "line 2, column 7": columns count bytes from 1.
std::string position(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  size_t lines = 1;
  for (const char c : before) lines += c == '\n' ? 1U : 0U;
  return "line " + std::to_string(lines) + ", column " + std::to_string(offset - line_start + 1);
}

std::string unexpected(std::string_view text, size_t offset) {
  if (offset >= text.size()) return "the text ends too early";
  const char c = text[offset];
  if (c >= ' ' && c <= '~') return std::string("unexpected '") + c + "'";
  return is_valid_utf8(text) ? "unexpected character" : "not valid UTF-8";
}

std::string syntax_error(std::string_view text, size_t offset, boost::json::error_code error) {
  if (error == boost::json::error::too_deep) {
    return "nested deeper than " + std::to_string(kMaxJsonDepth);
  }
  if (error == boost::json::error::syntax || error == boost::json::error::incomplete ||
      error == boost::json::error::extra_data) {
    return unexpected(text, offset);
  }
  return error.message();
}

}  // namespace

absl::Status parse_strict_json(std::string_view text, google::protobuf::Message& message) {
  boost::json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  boost::json::basic_parser<JsonChecker> parser(options, *message.GetDescriptor());
  boost::json::error_code error;
  const size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (!parser.handler().status().ok()) return parser.handler().status();
  if (!error && used < text.size()) error = boost::json::error::extra_data;
  if (error) {
    return absl::InvalidArgumentError("malformed JSON, " + position(text, used) + ": " +
                                      syntax_error(text, used, error));
  }
  const auto status = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(text.data(), text.size()), &message);
  if (status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(to_valid_utf8(std::string(status.message())));
}

}  // namespace clusterd::gateway
