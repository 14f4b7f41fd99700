#include "gateway/field_text.h"

#include <charconv>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "core/field_error.h"
#include "google/protobuf/util/time_util.h"

namespace clusterd::gateway {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Where a value goes: the message that has the field, and the field.
struct Target {
  Message& message;
  const FieldDescriptor* field;
  std::string_view name;  // for errors

  [[nodiscard]] const Reflection& reflection() const { return *message.GetReflection(); }
  [[nodiscard]] absl::Status wrong(std::string_view text, const std::string& allowed) const {
    return invalid_field(name, "'" + std::string(text) + "' must be " + allowed);
  }
};

// `set` and `add` are the members of Reflection for the type T.
template <typename T, typename Set, typename Add>
absl::Status put(const Target& target, T value, Set set, Add add) {
  const auto method = target.field->is_repeated() ? add : set;
  (target.reflection().*method)(&target.message, target.field, std::move(value));
  return absl::OkStatus();
}

template <typename T, typename Set, typename Add>
absl::Status put_number(const Target& target, std::string_view text, Set set, Add add) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    if constexpr (std::is_floating_point_v<T>) return target.wrong(text, "a number");
    return target.wrong(text, "a whole number from " +
                                  std::to_string(std::numeric_limits<T>::min()) + " to " +
                                  std::to_string(std::numeric_limits<T>::max()));
  }
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) return target.wrong(text, "a finite number");
  }
  return put<T>(target, value, set, add);
}

absl::Status put_bool(const Target& target, std::string_view text) {
  const bool value =
      absl::EqualsIgnoreCase(absl::string_view(text.data(), text.size()), "true") || text == "1";
  if (!value && text != "0" &&
      !absl::EqualsIgnoreCase(absl::string_view(text.data(), text.size()), "false")) {
    return target.wrong(text, "true or false");
  }
  return put<bool>(target, value, &Reflection::SetBool, &Reflection::AddBool);
}

absl::Status put_enum(const Target& target, std::string_view text) {
  const auto& type = *target.field->enum_type();
  const std::string upper = absl::AsciiStrToUpper(absl::string_view(text.data(), text.size()));
  const auto* value = type.FindValueByName(upper);
  if (!value) return target.wrong(text, allowed_names(type));
  return put<const google::protobuf::EnumValueDescriptor*>(target, value, &Reflection::SetEnum,
                                                           &Reflection::AddEnum);
}

absl::Status put_message(const Target& target, std::string_view text) {
  using google::protobuf::util::TimeUtil;
  const std::string value(text);
  if (target.field->message_type() == google::protobuf::Duration::descriptor()) {
    google::protobuf::Duration duration;
    if (!TimeUtil::FromString(value, &duration)) {
      return target.wrong(text, "a duration in seconds, such as 30s or 1.5s");
    }
    target.reflection().MutableMessage(&target.message, target.field)->CopyFrom(duration);
    return absl::OkStatus();
  }
  if (target.field->message_type() == google::protobuf::Timestamp::descriptor()) {
    google::protobuf::Timestamp time;
    if (!TimeUtil::FromString(value, &time)) {
      return target.wrong(text, "a time such as 2026-01-31T12:00:00Z");
    }
    target.reflection().MutableMessage(&target.message, target.field)->CopyFrom(time);
    return absl::OkStatus();
  }
  return invalid_field(target.name, "cannot be given here");
}

absl::Status put_text(const Target& target, std::string_view text) {
  switch (target.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return put<std::string>(target, std::string(text), &Reflection::SetString,
                              &Reflection::AddString);
    case FieldDescriptor::CPPTYPE_INT32:
      return put_number<int32_t>(target, text, &Reflection::SetInt32, &Reflection::AddInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return put_number<int64_t>(target, text, &Reflection::SetInt64, &Reflection::AddInt64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return put_number<uint32_t>(target, text, &Reflection::SetUInt32, &Reflection::AddUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return put_number<uint64_t>(target, text, &Reflection::SetUInt64, &Reflection::AddUInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return put_number<double>(target, text, &Reflection::SetDouble, &Reflection::AddDouble);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return put_number<float>(target, text, &Reflection::SetFloat, &Reflection::AddFloat);
    case FieldDescriptor::CPPTYPE_BOOL:
      return put_bool(target, text);
    case FieldDescriptor::CPPTYPE_ENUM:
      return put_enum(target, text);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return put_message(target, text);
  }
  return absl::InternalError("unknown type of field " + target.field->full_name());
}

}  // namespace

absl::Status set_field_from_text(Message& message, const FieldPath& path, std::string_view name,
                                 std::string_view text) {
  Message* owner = &message;
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    owner = owner->GetReflection()->MutableMessage(owner, path[i]);
  }
  return put_text({.message = *owner, .field = path.back(), .name = name}, text);
}

const FieldDescriptor* find_field(const google::protobuf::Descriptor& type, std::string_view name) {
  const std::string text(name);
  const FieldDescriptor* field = type.FindFieldByName(text);
  if (field) return field;
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->json_name() == text) return type.field(i);
  }
  return nullptr;
}

std::string allowed_names(const google::protobuf::EnumDescriptor& type) {
  std::string names = "one of";
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() == 0) continue;
    names += (names.size() > 6 ? ", " : " ") + type.value(i)->name();
  }
  return names;
}

std::string string_at(const Message& message, const FieldPath& path) {
  const Message* owner = &message;
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    if (!owner->GetReflection()->HasField(*owner, path[i])) return "";
    owner = &owner->GetReflection()->GetMessage(*owner, path[i]);
  }
  return owner->GetReflection()->GetString(*owner, path.back());
}

}  // namespace clusterd::gateway
