#include "gateway/transcoder.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "core/utf8.h"
#include "gateway/field_text.h"
#include "gateway/strict_json.h"
#include "gateway/url.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/util/field_mask_util.h"
#include "google/protobuf/util/json_util.h"

namespace clusterd::gateway {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

absl::Status read_body(const Route& route, const HttpRequest& request, Message& message) {
  if (route.body.empty()) return absl::OkStatus();
  Message* target = &message;
  if (route.body != "*") {
    const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(route.body);
    target = message.GetReflection()->MutableMessage(&message, field);
  }
  const bool blank = request.body.find_first_not_of(" \t\r\n") == std::string::npos;
  if (blank && route.body == "*") return absl::OkStatus();
  return parse_strict_json(request.body, *target);
}

// The field that a parameter's dotted name leads to; empty where there is none that text can set.
FieldPath query_path(const Descriptor& type, std::string_view name) {
  FieldPath path;
  const Descriptor* owner = &type;
  while (owner) {
    const size_t dot = name.find('.');
    const FieldDescriptor* field = find_field(*owner, name.substr(0, dot));
    if (!field || field->is_map()) return {};
    path.push_back(field);
    if (dot == std::string_view::npos) return path;
    if (field->is_repeated()) return {};
    owner = field->message_type();
    name.remove_prefix(dot + 1);
  }
  return {};
}

absl::Status check_place(const RouteTable::Match& match, const FieldPath& path,
                         const std::string& name) {
  for (const auto& [variable, value] : match.variables) {
    if (*variable == path) return invalid_field(name, "is in the path already");
  }
  if (match.route->body == "*" || match.route->body == path[0]->name()) {
    return invalid_field(name, "belongs into the body, not the query");
  }
  return absl::OkStatus();
}

absl::Status set_parameter(Message& message, const FieldPath& path,
                           const QueryParameter& parameter) {
  const FieldDescriptor& field = *path.back();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    return set_field_from_text(message, path, parameter.name, parameter.value);
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL && !parameter.has_value) {
    return set_field_from_text(message, path, parameter.name, "true");  // "?follow"
  }
  if (parameter.value.empty()) return absl::OkStatus();  // "?state=": a form's empty input
  if (!field.is_repeated()) {
    return set_field_from_text(message, path, parameter.name, parameter.value);
  }
  std::string_view rest = parameter.value;  // "?state=running,queued"
  while (true) {
    const size_t comma = rest.find(',');
    absl::Status status = set_field_from_text(message, path, parameter.name, rest.substr(0, comma));
    if (!status.ok() || comma == std::string_view::npos) return status;
    rest.remove_prefix(comma + 1);
  }
}

absl::Status read_query(const RouteTable::Match& match, const HttpRequest& request,
                        Message& message) {
  auto parameters = parse_query(request.query);
  if (!parameters.ok()) return parameters.status();
  std::set<FieldPath> seen;
  for (const QueryParameter& parameter : *parameters) {
    const FieldPath path = query_path(*message.GetDescriptor(), parameter.name);
    if (path.empty()) return invalid_field(parameter.name, "unknown query parameter");
    absl::Status status = check_place(match, path, parameter.name);
    if (status.ok() && !seen.insert(path).second && !path.back()->is_repeated()) {
      status = invalid_field(parameter.name, "given twice");
    }
    if (status.ok()) status = set_parameter(message, path, parameter);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status read_path(const RouteTable::Match& match, Message& message) {
  for (const auto& [path, value] : match.variables) {
    const std::string given = string_at(message, *path);
    if (!given.empty() && given != value) {
      return invalid_field(path->back()->name(),
                           "'" + given + "' in the body, '" + value + "' in the path");
    }
    absl::Status status = set_field_from_text(message, *path, path->back()->name(), value);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status read_idempotency_key(const HttpRequest& request, Message& message) {
  const auto key = request.header("idempotency-key");
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName("request_id");
  if (!key || !field) return absl::OkStatus();
  const std::string value(*key);
  if (value.empty() || !is_valid_utf8(value)) {
    return invalid_field("Idempotency-Key", "must be text that is not empty");
  }
  const std::string given = string_at(message, {field});
  if (!given.empty() && given != value) {
    return invalid_field("request_id", "differs from the Idempotency-Key header");
  }
  message.GetReflection()->SetString(&message, field, value);
  return absl::OkStatus();
}

absl::StatusOr<std::string> print_whole(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) {
    return absl::InternalError("cannot print " + message.GetTypeName() + ": " +
                               std::string(status.message()));
  }
  return json;
}

bool is_message_list(const FieldDescriptor& field) {
  return field.is_repeated() && !field.is_map() && field.message_type() != nullptr;
}

// Nothing but lists of messages and, beside them, plain values.
bool is_list(const Message& message) {
  const auto& type = *message.GetDescriptor();
  if (type.file()->package() == "google.protobuf") return false;  // they have forms of their own
  bool has_list = false;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (!is_message_list(field) && field.message_type() != nullptr) return false;
    has_list = has_list || is_message_list(field);
  }
  return has_list;
}

// The elements of a list as JSON, without brackets. Some at a time: to print a message
// protobuf 3.21 makes a tree of all of it, 16 KiB for a job.
absl::StatusOr<std::string> print_elements(const Message& message, const FieldDescriptor& list) {
  constexpr int kAtOnce = 32;
  const MessagePtr some(message.New());
  const auto empty = print_whole(*some);
  if (!empty.ok()) return empty;
  // Nothing in it is nested, so this is the list itself.
  const std::string name = absl::StrCat("\"", std::string(list.name()), "\":[");
  const size_t place = empty->find(name);
  if (place == std::string::npos) return absl::InternalError("no list " + name);
  const size_t before = place + name.size();
  const auto& reflection = *message.GetReflection();
  const int count = reflection.FieldSize(message, &list);
  std::string elements;
  for (int at = 0; at < count; at += kAtOnce) {
    some->Clear();
    for (int i = at; i < std::min(count, at + kAtOnce); ++i) {
      reflection.AddMessage(some.get(), &list)
          ->CopyFrom(reflection.GetRepeatedMessage(message, &list, i));
    }
    const auto json = print_whole(*some);
    if (!json.ok()) return json;
    if (at > 0) elements += ',';
    elements.append(*json, before, json->size() - empty->size());
  }
  return elements;
}

absl::StatusOr<std::string> print_list(const Message& message) {
  const auto& type = *message.GetDescriptor();
  google::protobuf::FieldMask plain;
  for (int i = 0; i < type.field_count(); ++i) {
    if (!is_message_list(*type.field(i))) plain.add_paths(std::string(type.field(i)->name()));
  }
  const MessagePtr rest(message.New());
  google::protobuf::util::FieldMaskUtil::MergeMessageTo(message, plain, {}, rest.get());
  auto json = print_whole(*rest);
  if (!json.ok()) return json;
  std::map<size_t, std::string> lists;  // by their places in `json`, which has none nested
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (!is_message_list(field)) continue;
    // Within a value its quotes would be escaped, so this is the list itself.
    const std::string empty = absl::StrCat("\"", std::string(field.name()), "\":[]");
    const size_t place = json->find(empty);
    if (place == std::string::npos) return absl::InternalError("no list " + empty + " to fill");
    auto elements = print_elements(message, field);
    if (!elements.ok()) return elements;
    lists[place + empty.size() - 1] = *std::move(elements);
  }
  for (auto list = lists.rbegin(); list != lists.rend(); ++list) {
    json->insert(list->first, list->second);
  }
  return json;
}

}  // namespace

MessagePtr new_message(const Descriptor& type) {
  auto* factory = google::protobuf::MessageFactory::generated_factory();
  return MessagePtr(factory->GetPrototype(&type)->New());
}

absl::StatusOr<MessagePtr> request_message(const RouteTable::Match& match,
                                           const HttpRequest& request) {
  MessagePtr message = new_message(*match.route->method->input_type());
  absl::Status status = read_body(*match.route, request, *message);
  if (status.ok()) status = read_query(match, request, *message);
  if (status.ok()) status = read_path(match, *message);
  if (status.ok()) status = read_idempotency_key(request, *message);
  if (!status.ok()) return status;
  return message;
}

absl::StatusOr<std::string> to_json(const Message& message) {
  return is_list(message) ? print_list(message) : print_whole(message);
}

std::string expand_location(std::string_view pattern, const Message& message) {
  std::string out;
  while (!pattern.empty()) {
    const size_t open = std::min(pattern.find('{'), pattern.size());
    out += pattern.substr(0, open);
    pattern.remove_prefix(open);
    if (pattern.empty()) break;
    const size_t close = std::min(pattern.find('}'), pattern.size() - 1);
    const auto* field =
        message.GetDescriptor()->FindFieldByName(std::string(pattern.substr(1, close - 1)));
    if (field && field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      out += percent_encode(string_at(message, {field}));
    }
    pattern.remove_prefix(close + 1);
  }
  return out;
}

std::chrono::nanoseconds call_timeout(const Message& request) {
  using std::chrono::seconds;
  constexpr std::chrono::nanoseconds kDefault = seconds(75);  // the longest start_wait, and more
  constexpr std::chrono::nanoseconds kMargin = seconds(10);
  constexpr std::chrono::nanoseconds kLongest = std::chrono::minutes(15);
  if (request.GetDescriptor()->FindFieldByName("selection")) return kLongest;  // of many jobs
  const FieldDescriptor* field = request.GetDescriptor()->FindFieldByName("timeout");
  if (!field || field->message_type() != google::protobuf::Duration::descriptor()) return kDefault;
  if (!request.GetReflection()->HasField(request, field)) return kDefault + kMargin;
  google::protobuf::Duration wait;
  wait.CopyFrom(request.GetReflection()->GetMessage(request, field));
  const auto bounded = std::clamp(from_proto(wait), std::chrono::nanoseconds::zero(), kLongest);
  return std::min(bounded + kMargin, kLongest);
}

}  // namespace clusterd::gateway
