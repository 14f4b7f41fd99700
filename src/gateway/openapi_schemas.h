#pragma once

#include <boost/json/object.hpp>
#include <set>
#include <string>
#include <string_view>

#include "gateway/schema_comments.h"
#include "google/protobuf/descriptor.h"

namespace clusterd::gateway {

// Describes messages as JSON Schema, as protobuf writes them in JSON, and keeps a list of those
// that were referred to. Owned by openapi_document() for the time of its call.
class OpenApiSchemas {
 public:
  explicit OpenApiSchemas(const SchemaComments& comments) : comments_(comments) {}

  // A reference to a message; it will be in components().
  boost::json::object reference(const google::protobuf::Descriptor& message);
  // The schema of one field, its comment included.
  boost::json::object field(const google::protobuf::FieldDescriptor& field);
  // The properties of a message but those named in `without`.
  boost::json::object properties(const google::protobuf::Descriptor& message,
                                 const std::set<std::string>& without);
  // The example that a message's option gives; null: none.
  [[nodiscard]] static boost::json::value example_of(const google::protobuf::Descriptor& message);

  // All that were referred to, by name, with what they refer to in turn.
  boost::json::object components();

 private:
  boost::json::object value(const google::protobuf::FieldDescriptor& field);
  boost::json::object enumeration(const google::protobuf::EnumDescriptor& type);
  boost::json::object message(const google::protobuf::Descriptor& message);

  const SchemaComments& comments_;
  std::set<const google::protobuf::Descriptor*> wanted_;
  std::set<const google::protobuf::Descriptor*> described_;
};

// "Job", "JobEnd", "ExplainJobResponse.WorkerVerdict".
[[nodiscard]] std::string schema_name(const google::protobuf::Descriptor& message);

}  // namespace clusterd::gateway
