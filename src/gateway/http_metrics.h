#pragma once

#include <array>
#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "core/metrics.h"
#include "gateway/route_table.h"

namespace clusterd::gateway {

// How many requests were answered, by route, method and status, and how long it took. Routes are
// those of the table as they are written there, so that ids make no series of their own.
//
// Owned by the Dispatcher; any thread; each request costs three additions.
class HttpMetrics {
 public:
  explicit HttpMetrics(const RouteTable& routes);
  HttpMetrics(const HttpMetrics&) = delete;
  HttpMetrics& operator=(const HttpMetrics&) = delete;

  // `route`: a path template, or one of the fixed paths; any other counts as "other". `status` 0:
  // the client went before there was an answer, which counts as 499.
  void observe(std::string_view method, std::string_view route, int status,
               std::chrono::nanoseconds time);

  // clusterd_http_requests_total and clusterd_http_request_duration_seconds.
  void add_to(MetricsPage& page) const;

 private:
  // Those that the gateway answers with; the last stands for any other.
  static constexpr std::array kStatuses = {200, 201, 204, 304, 400, 401, 403, 404,
                                           405, 408, 409, 410, 413, 416, 417, 429,
                                           431, 499, 500, 501, 503, 504, 505, 0};
  struct Series {
    std::array<Counter, kStatuses.size()> statuses;
    Histogram seconds{time_bounds()};
  };

  std::map<std::pair<std::string, std::string>, Series, std::less<>> series_;  // fixed
  Series other_;
};

}  // namespace clusterd::gateway
