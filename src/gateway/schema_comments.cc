#include "gateway/schema_comments.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.pb.h"

namespace clusterd::gateway {
namespace {

// "// one\n// two\n//\n// three" as "one two\n\nthree".
std::string joined(const std::string& comment) {
  std::string text;
  bool new_paragraph = false;
  for (const absl::string_view line : absl::StrSplit(comment, '\n')) {
    const absl::string_view words = absl::StripAsciiWhitespace(line);
    if (words.empty()) {
      new_paragraph = !text.empty();
      continue;
    }
    if (new_paragraph) {
      text += "\n\n";
    } else if (!text.empty()) {
      text += ' ';
    }
    new_paragraph = false;
    text.append(words.data(), words.size());
  }
  return text;
}

}  // namespace

SchemaComments::SchemaComments() {
  google::protobuf::FileDescriptorSet files;
  const std::string_view schema = schema_with_comments();
  if (!files.ParseFromArray(schema.data(), static_cast<int>(schema.size()))) return;
  google::protobuf::DescriptorPool pool;
  for (const auto& file : files.file()) {  // each after what it imports
    if (const auto* built = pool.BuildFile(file)) add_file(*built);
  }
}

template <typename Descriptor>
void SchemaComments::add(const Descriptor& descriptor) {
  google::protobuf::SourceLocation location;
  if (!descriptor.GetSourceLocation(&location)) return;
  std::string text = joined(location.leading_comments);
  if (!text.empty()) comments_.emplace(descriptor.full_name(), std::move(text));
}

void SchemaComments::add_enum(const google::protobuf::EnumDescriptor& type) {
  add(type);
  for (int i = 0; i < type.value_count(); ++i) add(*type.value(i));
}

void SchemaComments::add_message(const google::protobuf::Descriptor& message) {
  add(message);
  for (int i = 0; i < message.field_count(); ++i) add(*message.field(i));
  for (int i = 0; i < message.enum_type_count(); ++i) add_enum(*message.enum_type(i));
  for (int i = 0; i < message.nested_type_count(); ++i) add_message(*message.nested_type(i));
}

void SchemaComments::add_file(const google::protobuf::FileDescriptor& file) {
  for (int i = 0; i < file.message_type_count(); ++i) add_message(*file.message_type(i));
  for (int i = 0; i < file.enum_type_count(); ++i) add_enum(*file.enum_type(i));
  for (int i = 0; i < file.service_count(); ++i) {
    add(*file.service(i));
    for (int j = 0; j < file.service(i)->method_count(); ++j) add(*file.service(i)->method(j));
  }
}

std::string_view SchemaComments::of(const std::string& full_name) const {
  const auto found = comments_.find(full_name);
  return found == comments_.end() ? std::string_view() : found->second;
}

}  // namespace clusterd::gateway
