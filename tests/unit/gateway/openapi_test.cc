#include "gateway/openapi.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "clusterd/v1/http.pb.h"
#include "clusterd/v1/scheduler_service.pb.h"
#include "gateway/schema_comments.h"
#include "gateway/transcoder.h"
#include "google/protobuf/util/json_util.h"

namespace clusterd::gateway {
namespace {

namespace json = boost::json;
using google::protobuf::Descriptor;

RouteTable routes() {
  const auto& file = *v1::StartJobRequest::descriptor()->file();
  auto table = RouteTable::make(*file.FindServiceByName("SchedulerService"));
  REQUIRE(table.ok());
  return *std::move(table);
}

json::object document() { return json::parse(openapi_document(routes())).as_object(); }

// Every reference and every description in a document.
void walk(const json::value& value, std::set<std::string>& references) {
  if (const auto* array = value.if_array()) {
    for (const json::value& one : *array) walk(one, references);
  } else if (const auto* object = value.if_object()) {
    for (const auto& [key, one] : *object) {
      if (key == "$ref") references.insert(std::string(one.as_string()));
      walk(one, references);
    }
  }
}

void collect(const google::protobuf::FileDescriptor& file, std::vector<const Descriptor*>& out) {
  for (int i = 0; i < file.message_type_count(); ++i) {
    out.push_back(file.message_type(i));
    for (int j = 0; j < file.message_type(i)->nested_type_count(); ++j) {
      const Descriptor* nested = file.message_type(i)->nested_type(j);
      if (!nested->options().map_entry()) out.push_back(nested);
    }
  }
}

std::vector<const Descriptor*> public_messages() {
  const auto& file = *v1::StartJobRequest::descriptor()->file();
  std::vector<const Descriptor*> messages;
  collect(file, messages);
  for (int i = 0; i < file.dependency_count(); ++i) {
    if (file.dependency(i)->package() == "clusterd.v1") collect(*file.dependency(i), messages);
  }
  return messages;
}

}  // namespace

TEST_CASE("the description has every route, with its variables", "[openapi]") {
  const json::object described = document();
  const json::object& paths = described.at("paths").as_object();
  const RouteTable table = routes();
  CHECK(table.all().size() >= 30);

  for (const Route& route : table.all()) {
    const std::string path = path_template(route);
    CAPTURE(path, route.verb);
    REQUIRE(paths.contains(path));
    const json::object& item = paths.at(path).as_object();
    const std::string verb = absl::AsciiStrToLower(route.verb);
    REQUIRE(item.contains(verb));
    const json::object& call = item.at(verb).as_object();
    CHECK_FALSE(call.at("description").as_string().empty());
    for (const Route::Segment& segment : route.segments) {
      if (segment.field.empty()) continue;
      bool found = false;
      for (const json::value& parameter : call.at("parameters").as_array()) {
        found = found || (parameter.at("name").as_string() == segment.field.back()->name() &&
                          parameter.at("in").as_string() == "path");
      }
      CHECK(found);
    }
  }
}

TEST_CASE("no two calls of the description have the same name", "[openapi]") {
  const json::object described = document();
  std::set<std::string> names;
  for (const auto& [path, item] : described.at("paths").as_object()) {
    for (const auto& [verb, call] : item.as_object()) {
      CAPTURE(std::string(path));
      CHECK(names.insert(std::string(call.at("operationId").as_string())).second);
    }
  }
}

TEST_CASE("what the description refers to is in it", "[openapi]") {
  const json::object described = document();
  std::set<std::string> references;
  walk(described, references);
  const json::object& schemas = described.at("components").at("schemas").as_object();
  CHECK(references.size() > 15);

  for (const std::string& reference : references) {
    const std::string name = reference.substr(reference.rfind('/') + 1);
    CAPTURE(reference);
    CHECK(schemas.contains(name));
  }
  CHECK(schemas.at("Job").at("properties").as_object().size() ==
        static_cast<size_t>(v1::Job::descriptor()->field_count()));
}

TEST_CASE("errors of a call are those that its comment names", "[openapi]") {
  const json::object described = document();
  const json::object& answers =
      described.at("paths").at("/v1/jobs").at("post").at("responses").as_object();

  CHECK(answers.contains("201"));
  CHECK(answers.contains("400"));
  CHECK(answers.contains("429"));
  CHECK_FALSE(answers.contains("416"));
  CHECK(answers.at("404").at("description").as_string().starts_with("NOT_FOUND: no such worker"));
}

TEST_CASE("every public message and field has a comment", "[openapi]") {
  const SchemaComments comments;
  CHECK(public_messages().size() > 40);
  for (const Descriptor* message : public_messages()) {
    CAPTURE(message->full_name());
    CHECK_FALSE(comments.of(message->full_name()).empty());
    for (int i = 0; i < message->field_count(); ++i) {
      CAPTURE(message->field(i)->full_name());
      CHECK_FALSE(comments.of(message->field(i)->full_name()).empty());
    }
  }
}

TEST_CASE("an example is a message of its type", "[openapi]") {
  size_t examples = 0;
  for (const Descriptor* message : public_messages()) {
    const std::string& example = message->options().GetExtension(v1::example);
    if (example.empty()) continue;
    CAPTURE(message->full_name());
    const MessagePtr parsed = new_message(*message);
    CHECK(google::protobuf::util::JsonStringToMessage(example, parsed.get()).ok());
    ++examples;
  }
  CHECK(examples > 5);
}

}  // namespace clusterd::gateway
