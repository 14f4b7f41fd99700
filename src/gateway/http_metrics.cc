#include "gateway/http_metrics.h"

#include <algorithm>

namespace clusterd::gateway {
namespace {

constexpr std::array kGets = {"/healthz", "/readyz", "/metrics", "/openapi.json", "dashboard"};
constexpr std::array kPosts = {"/start", "/stop", "/query", "/output"};

}  // namespace

HttpMetrics::HttpMetrics(const RouteTable& routes) {
  for (const Route& route : routes.all()) (void)series_[{path_template(route), route.verb}];
  for (const char* path : kGets) (void)series_[{path, "GET"}];
  for (const char* path : kPosts) (void)series_[{path, "POST"}];
}

void HttpMetrics::observe(std::string_view method, std::string_view route, int status,
                          std::chrono::nanoseconds time) {
  const std::string_view verb = method == "HEAD" ? "GET" : method;
  const auto found = series_.find(std::pair(std::string(route), std::string(verb)));
  Series& series = found == series_.end() ? other_ : found->second;
  constexpr int kClientGone = 499;
  const auto* at =
      std::find(kStatuses.begin(), kStatuses.end() - 1, status == 0 ? kClientGone : status);
  series.statuses[static_cast<size_t>(at - kStatuses.begin())].add();
  series.seconds.observe(time);
}

void HttpMetrics::add_to(MetricsPage& page) const {
  const auto each = [this](auto visit) {
    for (const auto& [key, series] : series_) visit(key.first, key.second, series);
    visit("other", "other", other_);
  };
  page.counter("clusterd_http_requests_total", "HTTP requests, by route, method and status.");
  each([&page](std::string_view route, std::string_view method, const Series& series) {
    for (size_t i = 0; i < kStatuses.size(); ++i) {
      const uint64_t count = series.statuses[i].value();
      const std::string code = kStatuses[i] == 0 ? "other" : std::to_string(kStatuses[i]);
      if (count == 0 && i != 0) continue;
      page.sample(count, {{"route", route}, {"method", method}, {"code", code}});
    }
  });
  page.histograms("clusterd_http_request_duration_seconds",
                  "From a whole request to the end of its answer; of streams, their whole life.");
  each([&page](std::string_view route, std::string_view method, const Series& series) {
    if (series.seconds.count() == 0) return;
    page.sample(series.seconds, {{"route", route}, {"method", method}});
  });
}

}  // namespace clusterd::gateway
