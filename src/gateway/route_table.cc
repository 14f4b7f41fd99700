#include "gateway/route_table.h"

#include <algorithm>

#include "core/utf8.h"
#include "gateway/url.h"
#include "google/api/annotations.pb.h"

namespace clusterd::gateway {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::pair<std::string, std::string> verb_and_path(const google::api::HttpRule& rule) {
  switch (rule.pattern_case()) {
    case google::api::HttpRule::kGet:
      return {"GET", rule.get()};
    case google::api::HttpRule::kPut:
      return {"PUT", rule.put()};
    case google::api::HttpRule::kPost:
      return {"POST", rule.post()};
    case google::api::HttpRule::kDelete:
      return {"DELETE", rule.delete_()};
    case google::api::HttpRule::kPatch:
      return {"PATCH", rule.patch()};
    case google::api::HttpRule::PATTERN_NOT_SET:
      return {};
  }
  return {};
}

// Empty where `text` names no string field below `type`.
FieldPath resolve(const Descriptor* type, std::string_view text) {
  FieldPath path;
  for (const std::string_view name : split(text, '.')) {
    const FieldDescriptor* field = type ? type->FindFieldByName(std::string(name)) : nullptr;
    if (!field || field->is_repeated()) return {};
    path.push_back(field);
    type = field->message_type();
  }
  if (path.back()->cpp_type() != FieldDescriptor::CPPTYPE_STRING) return {};
  return path;
}

auto variable_count(const Route& route) {
  return std::count_if(route.segments.begin(), route.segments.end(),
                       [](const Route::Segment& segment) { return !segment.field.empty(); });
}

bool fits(const Route& route, const std::vector<std::string_view>& parts) {
  return std::equal(parts.begin(), parts.end(), route.segments.begin(), route.segments.end(),
                    [](std::string_view part, const Route::Segment& segment) {
                      return segment.field.empty() ? part == segment.literal : !part.empty();
                    });
}

}  // namespace

std::string to_string(const FieldPath& path) {
  std::string text;
  for (const FieldDescriptor* field : path) {
    if (!text.empty()) text += '.';
    text += field->name();
  }
  return text;
}

std::string path_template(const Route& route) {
  std::string path;
  for (const Route::Segment& segment : route.segments) {
    path +=
        segment.field.empty() ? "/" + segment.literal : "/{" + segment.field.back()->name() + "}";
  }
  return path;
}

absl::StatusOr<RouteTable> RouteTable::make(const google::protobuf::ServiceDescriptor& service) {
  RouteTable table;
  for (int i = 0; i < service.method_count(); ++i) {
    const MethodDescriptor& method = *service.method(i);
    if (!method.options().HasExtension(google::api::http)) continue;
    const auto& rule = method.options().GetExtension(google::api::http);
    absl::Status status = table.add(method, rule);
    for (const auto& binding : rule.additional_bindings()) {
      if (status.ok()) status = table.add(method, binding);
    }
    if (!status.ok()) return status;
  }
  std::stable_sort(table.routes_.begin(), table.routes_.end(), [](const Route& a, const Route& b) {
    return variable_count(a) < variable_count(b);
  });
  return table;
}

absl::Status RouteTable::add(const MethodDescriptor& method, const google::api::HttpRule& rule) {
  const auto bad = [&method](const std::string& what) {
    return absl::InvalidArgumentError("route of " + method.full_name() + ": " + what);
  };
  const auto [verb, path] = verb_and_path(rule);
  if (verb.empty() || path.empty() || path[0] != '/') return bad("no verb and path");
  Route route{.method = &method, .verb = verb, .segments = {}, .body = rule.body(), .answer = {}};
  for (const std::string_view part : split(std::string_view(path).substr(1), '/')) {
    Route::Segment segment;
    if (part.size() > 2 && part.front() == '{' && part.back() == '}') {
      segment.field = resolve(method.input_type(), part.substr(1, part.size() - 2));
      if (segment.field.empty()) return bad("no string field " + std::string(part));
    } else {
      segment.literal = std::string(part);
    }
    route.segments.push_back(std::move(segment));
  }
  if (!route.body.empty() && route.body != "*") {
    const FieldDescriptor* field = method.input_type()->FindFieldByName(route.body);
    if (!field || !field->message_type() || field->is_repeated()) {
      return bad("no message field " + route.body);
    }
  }
  route.answer = method.options().GetExtension(v1::answer);
  routes_.push_back(std::move(route));
  return absl::OkStatus();
}

absl::StatusOr<RouteTable::Match> RouteTable::find(std::string_view verb,
                                                   std::string_view path) const {
  if (path.empty() || path[0] != '/') return absl::NotFoundError("no such path");
  const auto parts = split(path.substr(1), '/');
  const std::string_view wanted = verb == "HEAD" ? "GET" : verb;
  Match match;
  for (const Route& route : routes_) {
    if (!fits(route, parts)) continue;
    if (route.verb != wanted) {
      match.allowed.push_back(route.verb);
      continue;
    }
    match.route = &route;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (route.segments[i].field.empty()) continue;
      auto value = percent_unescape(parts[i]);
      if (!value.ok()) return value.status();
      if (!is_text(*value)) {  // no id and no name can be that
        return absl::NotFoundError("'" + to_valid_utf8(parts[i]) + "' names nothing here");
      }
      match.variables.emplace_back(&route.segments[i].field, *std::move(value));
    }
    return match;
  }
  if (match.allowed.empty()) {
    return absl::NotFoundError("no such path: " + std::string(path));
  }
  return match;
}

}  // namespace clusterd::gateway
