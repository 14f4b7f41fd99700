#include "gateway/json_checker.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "absl/strings/escaping.h"
#include "core/field_error.h"
#include "gateway/field_text.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "google/protobuf/util/time_util.h"

namespace clusterd::gateway {
namespace {

using google::protobuf::FieldDescriptor;

bool is_time(const google::protobuf::Descriptor* type) {
  return type == google::protobuf::Duration::descriptor() ||
         type == google::protobuf::Timestamp::descriptor();
}

// What a single value of `field` must be, for people.
std::string description(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return "a whole number from -2147483648 to 2147483647";
    case FieldDescriptor::CPPTYPE_UINT32:
      return "a whole number from 0 to 4294967295";
    case FieldDescriptor::CPPTYPE_INT64:
      return "a whole number from -9223372036854775808 to 9223372036854775807";
    case FieldDescriptor::CPPTYPE_UINT64:
      return "a whole number from 0 to 18446744073709551615";
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return "a number";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return allowed_names(*field.enum_type());
    case FieldDescriptor::CPPTYPE_STRING:
      return field.type() == FieldDescriptor::TYPE_BYTES ? "a base64 string" : "a string";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  if (field.message_type() == google::protobuf::Duration::descriptor()) {
    return "a duration in seconds, such as \"30s\" or \"1.5s\"";
  }
  if (field.message_type() == google::protobuf::Timestamp::descriptor()) {
    return "a time such as \"2026-01-31T12:00:00Z\"";
  }
  return "an object";
}

template <typename T>
bool is_decimal(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// What protobuf takes too, which would refuse the rest without the field's name.
bool is_base64(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=";
  if (text.find_first_not_of(kAlphabet) != std::string_view::npos) return false;
  const absl::string_view encoded(text.data(), text.size());
  std::string decoded;
  return absl::Base64Unescape(encoded, &decoded) || absl::WebSafeBase64Unescape(encoded, &decoded);
}

bool string_fits(const FieldDescriptor& field, const std::string& text) {
  using google::protobuf::util::TimeUtil;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return field.type() != FieldDescriptor::TYPE_BYTES || is_base64(text);
    case FieldDescriptor::CPPTYPE_ENUM:
      return field.enum_type()->FindValueByName(text) != nullptr;
    case FieldDescriptor::CPPTYPE_INT32:
      return is_decimal<int32_t>(text);
    case FieldDescriptor::CPPTYPE_UINT32:
      return is_decimal<uint32_t>(text);
    case FieldDescriptor::CPPTYPE_INT64:
      return is_decimal<int64_t>(text);
    case FieldDescriptor::CPPTYPE_UINT64:
      return is_decimal<uint64_t>(text);
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_BOOL:
      return false;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  google::protobuf::Duration duration;
  google::protobuf::Timestamp time;
  return field.message_type() == google::protobuf::Duration::descriptor()
             ? TimeUtil::FromString(text, &duration)
             : TimeUtil::FromString(text, &time);
}

bool unsigned_fits(const FieldDescriptor& field, uint64_t value) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return value <= std::numeric_limits<int32_t>::max();
    case FieldDescriptor::CPPTYPE_UINT32:
      return value <= std::numeric_limits<uint32_t>::max();
    case FieldDescriptor::CPPTYPE_INT64:
      return value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    case FieldDescriptor::CPPTYPE_UINT64:
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return true;
    case FieldDescriptor::CPPTYPE_ENUM:
      return value <= std::numeric_limits<int32_t>::max() &&
             field.enum_type()->FindValueByNumber(static_cast<int>(value)) != nullptr;
    default:
      return false;
  }
}

}  // namespace

bool JsonChecker::collect(Text part) {
  text_.append(part.data(), part.size());
  return true;
}

bool JsonChecker::settle(absl::Status status, Error& error) {
  if (status.ok()) return true;
  status_ = std::move(status);
  error = boost::json::error::exception;  // any error: status() tells what it is
  return false;
}

bool JsonChecker::end_frame() {
  frames_.pop_back();
  value_done();
  return true;
}

void JsonChecker::value_done() {
  if (!frames_.empty()) ++frames_.back().index;
}

const FieldDescriptor* JsonChecker::target() const {
  if (frames_.empty()) return nullptr;
  const Frame& frame = frames_.back();
  if (frame.array) return frame.array;
  return frame.map ? frame.map->message_type()->map_value() : frame.field;
}

std::string JsonChecker::path() const {
  if (frames_.empty()) return "";
  const Frame& frame = frames_.back();
  if (frame.array) return frame.path + "[" + std::to_string(frame.index) + "]";
  return frame.path.empty() ? frame.key : frame.path + "." + frame.key;
}

absl::Status JsonChecker::wrong(std::string_view what) const { return invalid_field(path(), what); }

absl::Status JsonChecker::begin_object() {
  Frame frame{.path = path()};
  if (frames_.empty()) {
    frame.type = &root_;
  } else {
    const Field& field = *target();
    const bool element = frames_.back().array != nullptr;
    if (field.is_map()) {
      frame.map = &field;
    } else if (field.is_repeated() && !element) {
      return wrong("must be an array");
    } else if (!field.message_type() || is_time(field.message_type())) {
      return wrong("must be " + description(field));
    } else {
      frame.type = field.message_type();
    }
  }
  frames_.push_back(std::move(frame));
  return absl::OkStatus();
}

absl::Status JsonChecker::begin_array() {
  if (frames_.empty()) return absl::InvalidArgumentError("the body must be a JSON object");
  const Field& field = *target();
  if (field.is_map()) return wrong("must be an object");
  if (!field.is_repeated() || frames_.back().array) return wrong("must be " + description(field));
  frames_.push_back({.array = &field, .path = path()});
  return absl::OkStatus();
}

absl::Status JsonChecker::take_key() {
  Frame& frame = frames_.back();
  frame.key = std::move(text_);
  text_.clear();
  std::string name = frame.key;
  if (frame.type) {
    frame.field = find_field(*frame.type, frame.key);
    if (!frame.field) return wrong("unknown field");
    name = frame.field->name();
  }
  if (!frame.seen.insert(name).second) return wrong("given twice");
  return absl::OkStatus();
}

absl::Status JsonChecker::expect_scalar() const {
  if (frames_.empty()) return absl::InvalidArgumentError("the body must be a JSON object");
  const Field& field = *target();
  if (field.is_map()) return wrong("must be an object");
  if (field.is_repeated() && !frames_.back().array) return wrong("must be an array");
  return absl::OkStatus();
}

absl::Status JsonChecker::take_string() {
  const std::string text = std::move(text_);
  text_.clear();
  if (absl::Status status = expect_scalar(); !status.ok()) return status;
  const Field& field = *target();
  const bool object = field.message_type() && !is_time(field.message_type());
  if (object || !string_fits(field, text)) return wrong("must be " + description(field));
  value_done();
  return absl::OkStatus();
}

absl::Status JsonChecker::take_integer(int64_t value) {
  if (value >= 0) return take_unsigned(static_cast<uint64_t>(value));
  return take_double(static_cast<double>(value));
}

absl::Status JsonChecker::take_unsigned(uint64_t value) {
  if (absl::Status status = expect_scalar(); !status.ok()) return status;
  if (!unsigned_fits(*target(), value)) return wrong("must be " + description(*target()));
  value_done();
  return absl::OkStatus();
}

absl::Status JsonChecker::take_double(double value) {
  if (absl::Status status = expect_scalar(); !status.ok()) return status;
  const Field& field = *target();
  const bool whole = std::nearbyint(value) == value;
  bool fits = false;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      fits = std::isfinite(value);
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      fits = whole && value >= -0x1p31 && value < 0x1p31;
      break;
    case FieldDescriptor::CPPTYPE_UINT32:
      fits = whole && value >= 0 && value < 0x1p32;
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      fits = whole && value >= -0x1p63 && value < 0x1p63;
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      fits = whole && value >= 0 && value < 0x1p64;
      break;
    default:
      break;
  }
  if (!fits) return wrong("must be " + description(field));
  value_done();
  return absl::OkStatus();
}

absl::Status JsonChecker::take_bool() {
  if (absl::Status status = expect_scalar(); !status.ok()) return status;
  if (target()->cpp_type() != FieldDescriptor::CPPTYPE_BOOL) {
    return wrong("must be " + description(*target()));
  }
  value_done();
  return absl::OkStatus();
}

absl::Status JsonChecker::take_null() {
  if (frames_.empty()) return absl::InvalidArgumentError("the body must be a JSON object");
  if (!frames_.back().type) return wrong("must not be null");
  value_done();  // null is the field's default
  return absl::OkStatus();
}

}  // namespace clusterd::gateway
