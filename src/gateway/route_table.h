#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "clusterd/v1/http.pb.h"
#include "google/api/http.pb.h"
#include "google/protobuf/descriptor.h"

namespace clusterd::gateway {

// A field below a request message: {spec, worker_id}. Never empty.
using FieldPath = std::vector<const google::protobuf::FieldDescriptor*>;

// "spec.worker_id".
[[nodiscard]] std::string to_string(const FieldPath& path);

// One way to call a method over HTTP.
struct Route {
  struct Segment {
    std::string literal;  // used where `field` is empty
    FieldPath field;      // takes its value from this segment
  };

  const google::protobuf::MethodDescriptor* method = nullptr;
  std::string verb;  // "GET"
  std::vector<Segment> segments;
  std::string body;  // "", "*" or a field of the request
  v1::HttpAnswer answer;
};

// "/v1/workers/{worker_id}/jobs": the route's path with the names of its variables.
[[nodiscard]] std::string path_template(const Route& route);

// The routes of a service, made from the `google.api.http` and `clusterd.v1.answer` options of its
// methods. Immutable once made, so any thread may ask; owned by the Dispatcher.
class RouteTable {
 public:
  using Variables = std::vector<std::pair<const FieldPath*, std::string>>;

  struct Match {
    const Route* route = nullptr;
    Variables variables;               // decoded
    std::vector<std::string> allowed;  // without a route: verbs that the path does have
  };

  // INVALID_ARGUMENT names the method whose annotation cannot be understood.
  [[nodiscard]] static absl::StatusOr<RouteTable> make(
      const google::protobuf::ServiceDescriptor& service);

  // Finds the route of `verb` ("HEAD" is served by GET's) for `path` (escaped, no query).
  // NOT_FOUND: no such path, or an id or a name in it that is no text. INVALID_ARGUMENT: a bad
  // escape in it. A path that has other verbs only gives a Match without a route.
  [[nodiscard]] absl::StatusOr<Match> find(std::string_view verb, std::string_view path) const;

  [[nodiscard]] const std::vector<Route>& all() const { return routes_; }

 private:
  absl::Status add(const google::protobuf::MethodDescriptor& method,
                   const google::api::HttpRule& rule);

  std::vector<Route> routes_;  // fewest variables first
};

}  // namespace clusterd::gateway
