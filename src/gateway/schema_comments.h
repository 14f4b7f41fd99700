#pragma once

#include <map>
#include <string>
#include <string_view>

#include "google/protobuf/descriptor.h"

namespace clusterd::gateway {

// The schema as protoc read it, comments included: a serialised FileDescriptorSet. The source is
// made at build time by embed_schema.cmake.
[[nodiscard]] std::string_view schema_with_comments();

// The comments of the schema, which the descriptors that are linked into the program do not have.
// Immutable once made.
class SchemaComments {
 public:
  SchemaComments();

  // The comment above a message, field, enum, value, service or method, by its full name; lines
  // joined, paragraphs kept. Empty: there is none.
  [[nodiscard]] std::string_view of(const std::string& full_name) const;

 private:
  template <typename Descriptor>
  void add(const Descriptor& descriptor);
  void add_message(const google::protobuf::Descriptor& message);
  void add_enum(const google::protobuf::EnumDescriptor& type);
  void add_file(const google::protobuf::FileDescriptor& file);

  std::map<std::string, std::string, std::less<>> comments_;
};

}  // namespace clusterd::gateway
