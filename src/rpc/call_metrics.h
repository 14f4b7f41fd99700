#pragma once

#include <grpcpp/server_builder.h>

#include <array>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "core/metrics.h"

namespace clusterd {

// How many calls a gRPC server answered, by method and code, and how long it took. Methods of other
// services (health, reflection) count together as "other".
//
// Owned by run_scheduler() or run_worker(), made before the server and ended after it. Calls come
// on gRPC's threads; each costs three additions.
class CallMetrics {
 public:
  // Names of services that are linked into this program.
  explicit CallMetrics(std::initializer_list<const char*> services);
  CallMetrics(const CallMetrics&) = delete;
  CallMetrics& operator=(const CallMetrics&) = delete;

  // Counts the calls of the server that is built.
  void watch(grpc::ServerBuilder& builder);

  // grpc_server_handled_total and grpc_server_handling_seconds.
  void add_to(MetricsPage& page) const;

 private:
  static constexpr size_t kCodes = 17;
  struct Method {
    std::string service;
    std::string name;
    std::array<Counter, kCodes> codes;
    Histogram seconds{time_bounds()};
  };
  class Interceptor;
  class Factory;

  [[nodiscard]] Method& find(std::string_view path);

  std::map<std::string, Method, std::less<>> methods_;  // by "/package.Service/Method"; fixed
  Method other_;
};

}  // namespace clusterd
