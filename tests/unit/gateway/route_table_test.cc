#include "gateway/route_table.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "clusterd/v1/scheduler_service.pb.h"

using namespace clusterd;
using namespace clusterd::gateway;

namespace {

const google::protobuf::ServiceDescriptor& service() {
  return *v1::StartJobRequest::descriptor()->file()->FindServiceByName("SchedulerService");
}

RouteTable table() { return RouteTable::make(service()).value(); }

std::string method_of(const RouteTable& routes, std::string_view verb, std::string_view path) {
  const auto match = routes.find(verb, path);
  return match.ok() && match->route ? match->route->method->name() : "";
}

}  // namespace

TEST_CASE("each method of the service has a route", "[routes]") {
  const RouteTable routes = table();
  const std::pair<const char*, const char*> calls[] = {
      {"POST", "/v1/jobs"},
      {"POST", "/v1/jobs/j/stop"},
      {"POST", "/v1/jobs/j/signal"},
      {"GET", "/v1/jobs/j"},
      {"GET", "/v1/jobs/j/output"},
      {"GET", "/v1/jobs/j/wait"},
      {"GET", "/v1/wait"},
      {"GET", "/v1/jobs"},
      {"GET", "/v1/jobs/j/tasks"},
      {"GET", "/v1/jobs/j/explain"},
      {"POST", "/v1/jobs/j/retry"},
      {"DELETE", "/v1/jobs/j"},
      {"GET", "/v1/workers"},
      {"GET", "/v1/workers/w"},
      {"POST", "/v1/workers/w/drain"},
      {"POST", "/v1/workers/w/resume"},
      {"DELETE", "/v1/workers/w"},
      {"GET", "/v1/workers/w/scripts"},
      {"GET", "/v1/events"},
      {"GET", "/v1/cluster"},
      {"POST", "/v1/jobs/stop"},
      {"POST", "/v1/jobs/retry"},
      {"POST", "/v1/schedules"},
      {"PUT", "/v1/schedules/s"},
      {"GET", "/v1/schedules"},
      {"GET", "/v1/schedules/s"},
      {"POST", "/v1/schedules/s/pause"},
      {"POST", "/v1/schedules/s/resume"},
      {"POST", "/v1/schedules/s/trigger"},
      {"DELETE", "/v1/schedules/s"},
      {"GET", "/v1/queues"},
      {"GET", "/v1/queues/q"},
      {"PUT", "/v1/queues/q"},
      {"POST", "/v1/queues/q/pause"},
      {"POST", "/v1/queues/q/resume"},
      {"DELETE", "/v1/queues/q"},
  };

  std::set<std::string> methods;
  for (const auto& [verb, path] : calls) methods.insert(method_of(routes, verb, path));

  CHECK(methods.count("") == 0);
  CHECK(methods.size() == static_cast<size_t>(service().method_count()));
}

TEST_CASE("additional bindings give the same methods below a worker", "[routes]") {
  const RouteTable routes = table();

  CHECK(method_of(routes, "POST", "/v1/workers/w/jobs") == "StartJob");
  CHECK(method_of(routes, "GET", "/v1/workers/w/jobs") == "ListJobs");
  CHECK(method_of(routes, "GET", "/v1/workers/w/jobs/j/output") == "StreamJob");
}

TEST_CASE("variables are decoded and lead to nested fields", "[routes]") {
  const RouteTable routes = table();

  const auto match = routes.find("POST", "/v1/workers/a%2Fb%20c/jobs");

  REQUIRE(match.ok());
  REQUIRE(match->variables.size() == 1);
  CHECK(to_string(*match->variables[0].first) == "spec.worker_id");
  CHECK(match->variables[0].second == "a/b c");
}

TEST_CASE("HEAD goes where GET goes", "[routes]") {
  CHECK(method_of(table(), "HEAD", "/v1/jobs") == "ListJobs");
}

TEST_CASE("a path with other verbs tells them", "[routes]") {
  const RouteTable routes = table();

  const auto match = routes.find("PUT", "/v1/jobs/j");

  REQUIRE(match.ok());
  CHECK(match->route == nullptr);
  CHECK(std::set<std::string>(match->allowed.begin(), match->allowed.end()) ==
        std::set<std::string>{"GET", "DELETE"});
}

TEST_CASE("a path that is not there is NOT_FOUND, a bad escape INVALID_ARGUMENT", "[routes]") {
  const RouteTable routes = table();

  for (const char* path : {"/v1/jobs/", "/v1/jobs//stop", "/v2/jobs", "/v1/jobs/j/x", "*", ""}) {
    CAPTURE(path);
    CHECK(absl::IsNotFound(routes.find("GET", path).status()));
  }
  CHECK(absl::IsInvalidArgument(routes.find("GET", "/v1/jobs/%zz").status()));
}

TEST_CASE("an id or a name that is no text is NOT_FOUND like any other that is not there",
          "[routes]") {
  const RouteTable routes = table();

  for (const char* path : {"/v1/jobs/x%ff", "/v1/jobs/x%00", "/v1/jobs/\xff", "/v1/workers/%C3"}) {
    CAPTURE(path);
    CHECK(absl::IsNotFound(routes.find("GET", path).status()));
  }
  CHECK(absl::IsNotFound(routes.find("POST", "/v1/workers/%ff/jobs").status()));
}
