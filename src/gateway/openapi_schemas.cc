#include "gateway/openapi_schemas.h"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "clusterd/v1/http.pb.h"

namespace clusterd::gateway {
namespace {

namespace json = boost::json;
using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

json::object number_as_text(const char* format, const char* pattern) {
  return {{"type", "string"}, {"format", format}, {"pattern", pattern}};
}

// What protobuf writes for a type that is not a message and not an enumeration.
json::object scalar(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return {{"type", "integer"}, {"format", "int32"}};
    case FieldDescriptor::CPPTYPE_UINT32:
      return {{"type", "integer"}, {"minimum", 0}, {"maximum", 4294967295}};
    case FieldDescriptor::CPPTYPE_INT64:
      return number_as_text("int64", "^-?[0-9]+$");
    case FieldDescriptor::CPPTYPE_UINT64:
      return number_as_text("uint64", "^[0-9]+$");
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return {{"type", "number"}, {"format", "double"}};
    case FieldDescriptor::CPPTYPE_BOOL:
      return {{"type", "boolean"}};
    default:
      break;
  }
  if (field.type() == FieldDescriptor::TYPE_BYTES) {
    return {{"type", "string"}, {"contentEncoding", "base64"}};
  }
  return {{"type", "string"}};
}

json::object well_known(const Descriptor& message) {
  if (message.full_name() == "google.protobuf.Timestamp") {
    return {{"type", "string"}, {"format", "date-time"}};
  }
  if (message.full_name() == "google.protobuf.Duration") {
    return {{"type", "string"},
            {"pattern", "^-?[0-9]+(\\.[0-9]{1,9})?s$"},
            {"examples", json::array{"30s"}}};
  }
  return {};
}

}  // namespace

std::string schema_name(const Descriptor& message) {
  return message.full_name().substr(message.file()->package().size() + 1);
}

json::object OpenApiSchemas::reference(const Descriptor& message) {
  json::object known = well_known(message);
  if (!known.empty()) return known;
  wanted_.insert(&message);
  return {{"$ref", "#/components/schemas/" + schema_name(message)}};
}

json::object OpenApiSchemas::enumeration(const EnumDescriptor& type) {
  json::array words;
  std::string meanings;
  for (int i = 0; i < type.value_count(); ++i) {
    words.emplace_back(type.value(i)->name());
    meanings += "\n- `" + type.value(i)->name() +
                "`: " + std::string(comments_.of(type.value(i)->full_name()));
  }
  return {{"type", "string"},
          {"enum", std::move(words)},
          {"description", std::string(comments_.of(type.full_name())) + "\n" + meanings}};
}

json::object OpenApiSchemas::value(const FieldDescriptor& field) {
  if (field.type() == FieldDescriptor::TYPE_ENUM) return enumeration(*field.enum_type());
  if (field.type() == FieldDescriptor::TYPE_MESSAGE) return reference(*field.message_type());
  return scalar(field);
}

json::object OpenApiSchemas::field(const FieldDescriptor& field) {
  json::object schema;
  if (field.is_map()) {
    schema = {{"type", "object"},
              {"additionalProperties", value(*field.message_type()->map_value())}};
  } else if (field.is_repeated()) {
    schema = {{"type", "array"}, {"items", value(field)}};
  } else {
    schema = value(field);
  }
  const std::string comment(comments_.of(field.full_name()));
  const json::value* words = schema.if_contains("description");
  schema["description"] = words ? comment + "\n\n" + std::string(words->as_string()) : comment;
  return schema;
}

json::object OpenApiSchemas::properties(const Descriptor& message,
                                        const std::set<std::string>& without) {
  json::object properties;
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& one = *message.field(i);
    if (!without.contains(one.name())) properties[one.name()] = field(one);
  }
  return properties;
}

json::value OpenApiSchemas::example_of(const Descriptor& message) {
  const std::string& text = message.options().GetExtension(v1::example);
  if (text.empty()) return nullptr;
  json::error_code error;
  json::value example = json::parse(text, error);
  return error ? json::value(nullptr) : example;
}

json::object OpenApiSchemas::message(const Descriptor& message) {
  json::object schema = {{"type", "object"},
                         {"description", comments_.of(message.full_name())},
                         {"properties", properties(message, {})}};
  json::value example = example_of(message);
  if (!example.is_null()) schema["examples"] = json::array{std::move(example)};
  return schema;
}

json::object OpenApiSchemas::components() {
  std::map<std::string, json::object> by_name;
  while (wanted_.size() > described_.size()) {
    for (const Descriptor* type : std::set(wanted_)) {
      if (described_.insert(type).second) by_name[schema_name(*type)] = message(*type);
    }
  }
  json::object components;
  for (auto& [name, schema] : by_name) components[name] = std::move(schema);
  return components;
}

}  // namespace clusterd::gateway
