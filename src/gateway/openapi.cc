#include "gateway/openapi.h"

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "clusterd/version.h"
#include "gateway/openapi_schemas.h"
#include "gateway/problem.h"

namespace clusterd::gateway {
namespace {

namespace json = boost::json;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;

constexpr const char* kProblem = "application/problem+json";

constexpr std::array kErrorCodes = {
    absl::StatusCode::kInvalidArgument,    absl::StatusCode::kUnauthenticated,
    absl::StatusCode::kPermissionDenied,   absl::StatusCode::kNotFound,
    absl::StatusCode::kAlreadyExists,      absl::StatusCode::kAborted,
    absl::StatusCode::kFailedPrecondition, absl::StatusCode::kOutOfRange,
    absl::StatusCode::kResourceExhausted,  absl::StatusCode::kCancelled,
    absl::StatusCode::kUnimplemented,      absl::StatusCode::kUnavailable,
    absl::StatusCode::kDeadlineExceeded,   absl::StatusCode::kInternal,
};

json::object problem_schema() {
  json::array codes;
  for (const auto code : kErrorCodes) codes.emplace_back(code_name(code).name);
  const json::object text = {{"type", "string"}};
  return {
      {"type", "object"},
      {"description", "What went wrong (RFC 9457)."},
      {"required", json::array{"type", "title", "status", "detail", "code"}},
      {"properties",
       {{"type", text},
        {"title", {{"type", "string"}, {"description", "The status in words."}}},
        {"status", {{"type", "integer"}, {"description", "The HTTP status."}}},
        {"detail", {{"type", "string"}, {"description", "For people: what, and what is allowed."}}},
        {"code", {{"type", "string"}, {"description", "For programs."}, {"enum", codes}}},
        {"field",
         {{"type", "string"}, {"description", "The field that is wrong, for bad input."}}}}},
      {"examples", json::array{{{"type", "about:blank"},
                                {"title", "Bad Request"},
                                {"status", 400},
                                {"detail", "path: '../secret.sh' leaves the scripts folder"},
                                {"code", "INVALID_ARGUMENT"},
                                {"field", "path"}}}},
  };
}

json::object problem_answer(std::string_view description) {
  return {{"description", description},
          {"content", {{kProblem, {{"schema", {{"$ref", "#/components/schemas/Problem"}}}}}}}};
}

std::string first_sentence(std::string_view text) {
  const size_t end = text.find(". ");
  std::string sentence(text.substr(0, end));
  if (!sentence.empty() && sentence.back() == '.') sentence.pop_back();
  return sentence;
}

// Where the next "CODE:" or "CODE and CODE …" begins at or after `from`, and the code itself.
std::pair<size_t, const CodeName*> next_code(std::string_view comment, size_t from) {
  std::pair<size_t, const CodeName*> first = {std::string_view::npos, nullptr};
  for (const auto code : kErrorCodes) {
    const CodeName& entry = code_name(code);
    const size_t at = comment.find(entry.name, from);
    if (at < first.first) first = {at, &entry};
  }
  return first;
}

// What a call's comment says of its errors: each code it names, with the text up to the next one.
json::object error_answers(std::string_view comment) {
  std::map<int, std::string> by_status;
  auto [at, code] = next_code(comment, 0);
  while (code != nullptr) {
    const auto [next, next_entry] = next_code(comment, at + code->name.size());
    const std::string_view text =
        comment.substr(at, next == std::string_view::npos ? next : next - at);
    std::string& all = by_status[code->http_status];
    if (!all.empty()) all += ' ';
    all += std::string(absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size())));
    at = next;
    code = next_entry;
  }
  json::object answers;
  for (const auto& [status, text] : by_status) {
    answers[std::to_string(status)] = problem_answer(text);
  }
  return answers;
}

json::object header(const char* description) {
  return {{"description", description}, {"schema", {{"type", "string"}}}};
}

json::object output_answer(json::object end) {
  return {
      {"description",
       "The bytes, and then trailers; or server-sent events, where they are accepted."},
      {"headers",
       {{"Clusterd-Output-Offset", header("Offset of the first byte sent.")},
        {"Clusterd-Output-Released", header("Bytes below this offset no longer exist.")},
        {"Clusterd-Output-Written", header("Length of the stream when the answer began.")},
        {"Clusterd-Attempt", header("Which attempt; 0: none yet.")}}},
      {"content",
       {{"application/octet-stream", json::object()},
        {"text/event-stream",
         {{"schema",
           {{"type", "string"},
            {"description",
             "`data` is a JSON string of the output, under `event: base64` base64; "
             "the last event, `event: end`, has an OutputEnd."}}},
          {"x-end", std::move(end)}}}}},
  };
}

// Turns routes into operations. Lives for one call of openapi_document().
class Writer {
 public:
  explicit Writer(const SchemaComments& comments) : comments_(comments), schemas_(comments) {}

  void add(const Route& route) {
    json::object operation = describe(route);
    std::string verb = absl::AsciiStrToLower(route.verb);
    json::value& path = paths_[path_template(route)];
    if (!path.is_object()) path = json::object();
    path.as_object()[verb] = std::move(operation);
  }

  void add_fixed(const char* path, const char* id, const char* summary, const char* type,
                 bool may_fail) {
    json::object answers = {
        {"200", {{"description", summary}, {"content", {{type, json::object()}}}}}};
    if (may_fail) answers["503"] = problem_answer("It does not, and why.");
    paths_[path] = json::object{{"get",
                                 {{"operationId", id},
                                  {"tags", json::array{"Cluster"}},
                                  {"summary", summary},
                                  {"security", json::array{}},
                                  {"responses", std::move(answers)}}}};
  }

  json::object document() {
    json::object schemas = schemas_.components();
    schemas["Problem"] = problem_schema();
    return {
        {"openapi", "3.1.0"},
        {"info",
         {{"title", "clusterd"},
          {"version", version()},
          {"summary", "Runs scripts and programs on one to some thousands of machines."},
          {"description",
           "Messages are those of the schema in `proto/clusterd/v1`, as JSON: 64-bit integers are "
           "strings, times RFC 3339, durations seconds with the unit, bytes base64. Fields without "
           "a "
           "value are written, `optional` ones that are unknown are absent."},
          {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
        {"servers", json::array{{{"url", "/"}}}},
        {"security", json::array{json::object(), {{"token", json::array()}}}},
        {"tags", json::array{{{"name", "Jobs"}}, {{"name", "Workers"}}, {{"name", "Cluster"}}}},
        {"paths", std::move(paths_)},
        {"components",
         {{"schemas", std::move(schemas)},
          {"securitySchemes",
           {{"token",
             {{"type", "http"},
              {"scheme", "bearer"},
              {"description", "Needed where the scheduler has tokens."}}}}}}},
    };
  }

 private:
  static std::set<std::string> path_fields(const Route& route) {
    std::set<std::string> names;
    for (const Route::Segment& segment : route.segments) {
      if (!segment.field.empty()) names.insert(segment.field.back()->name());
    }
    return names;
  }

  json::object describe(const Route& route) {
    const MethodDescriptor& method = *route.method;
    const std::string comment(comments_.of(method.full_name()));
    const bool on_worker = path_template(route).starts_with("/v1/workers/{worker_id}/jobs");
    json::object operation = {
        {"operationId", method.name() + (on_worker ? "OnWorker" : "")},
        {"tags", json::array{tag_of(route)}},
        {"summary", first_sentence(comment)},
        {"description", comment},
    };
    json::array parameters = parameters_of(route);
    if (!parameters.empty()) operation["parameters"] = std::move(parameters);
    if (!route.body.empty()) operation["requestBody"] = body_of(route);
    operation["responses"] = answers_of(route, comment);
    return operation;
  }

  static const char* tag_of(const Route& route) {
    const std::string path = path_template(route);
    if (path.find("/jobs") != std::string::npos) return "Jobs";
    return path.find("/workers") != std::string::npos ? "Workers" : "Cluster";
  }

  json::array parameters_of(const Route& route) {
    const Descriptor& request = *route.method->input_type();
    json::array parameters;
    for (const Route::Segment& segment : route.segments) {
      if (!segment.field.empty()) {
        parameters.push_back(parameter(*segment.field.back(), "path"));
      }
    }
    const std::set<std::string> in_path = path_fields(route);
    for (int i = 0; route.body.empty() && i < request.field_count(); ++i) {
      const FieldDescriptor& field = *request.field(i);
      if (in_path.contains(field.name()) || field.name() == "request_id") continue;
      parameters.push_back(parameter(field, "query"));
    }
    if (const FieldDescriptor* field = request.FindFieldByName("request_id")) {
      json::object key = parameter(*field, "header");
      key["name"] = "Idempotency-Key";
      parameters.push_back(std::move(key));
    }
    return parameters;
  }

  json::object parameter(const FieldDescriptor& field, const char* where) {
    json::object schema = schemas_.field(field);
    schema.erase("description");
    json::object parameter = {{"name", field.name()},
                              {"in", where},
                              {"required", where == std::string_view("path")},
                              {"description", comments_.of(field.full_name())},
                              {"schema", std::move(schema)}};
    return parameter;
  }

  json::object body_of(const Route& route) {
    const Descriptor& request = *route.method->input_type();
    json::object schema;
    json::value example;
    if (route.body == "*") {
      std::set<std::string> without = path_fields(route);
      without.insert({"request_id", "job_id", "worker_id"});
      schema = {{"type", "object"}, {"properties", schemas_.properties(request, without)}};
      example = OpenApiSchemas::example_of(request);
    } else {
      const Descriptor& message = *request.FindFieldByName(route.body)->message_type();
      schema = schemas_.reference(message);
      example = OpenApiSchemas::example_of(message);
    }
    json::object content = {{"schema", std::move(schema)}};
    if (!example.is_null()) content["example"] = std::move(example);
    return {{"required", route.body != "*"},
            {"content", {{"application/json", std::move(content)}}}};
  }

  json::object answers_of(const Route& route, const std::string& comment) {
    json::object answers;
    const int status = route.answer.status() != 0 ? route.answer.status() : 200;
    answers[std::to_string(status)] = success(route);
    for (auto& [code, answer] : error_answers(comment)) answers[code] = answer;
    answers["default"] = problem_answer("Anything that went wrong.");
    return answers;
  }

  json::object success(const Route& route) {
    const Descriptor& answer = *route.method->output_type();
    if (route.answer.body() == v1::HttpAnswer::OUTPUT) {
      const Descriptor& end = *answer.FindFieldByName("end")->message_type();
      return output_answer(schemas_.reference(end));
    }
    const bool events = route.answer.body() == v1::HttpAnswer::SERVER_SENT_EVENTS;
    json::object response = {{"description", comments_.of(answer.full_name())}};
    if (events) {
      response["content"] = {{"text/event-stream",
                              {{"schema",
                                {{"type", "string"},
                                 {"description",
                                  "`data` of each event is a message as JSON; `id` is "
                                  "its number."}}},
                               {"x-data", schemas_.reference(answer)}}}};
      return response;
    }
    response["content"] = {{"application/json", {{"schema", schemas_.reference(answer)}}}};
    if (!route.answer.location().empty()) {
      response["headers"] = {{"Location", header("Where it is from now on.")}};
    }
    return response;
  }

  const SchemaComments& comments_;
  OpenApiSchemas schemas_;
  json::object paths_;
};

}  // namespace

std::string openapi_document(const RouteTable& routes) {
  const SchemaComments comments;
  Writer writer(comments);
  for (const Route& route : routes.all()) writer.add(route);
  writer.add_fixed("/healthz", "Healthz", "The process runs", "text/plain", false);
  writer.add_fixed("/readyz", "Readyz", "The scheduler can serve", "text/plain", true);
  writer.add_fixed("/metrics", "Metrics", "What it counts, for Prometheus", "text/plain", false);
  writer.add_fixed("/openapi.json", "OpenApi", "This document", "application/json", false);
  return json::serialize(writer.document()) + "\n";
}

}  // namespace clusterd::gateway
