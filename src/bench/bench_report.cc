#include "bench/bench_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clusterd/version.h"
#include "core/json_quote.h"
#include "core/units.h"

namespace clusterd::bench {
namespace {

double in_ms(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

// A JSON object that grows member by member.
class JsonObject {
 public:
  void add(const std::string& name, const std::string& value) {
    absl::StrAppend(&text_, text_.empty() ? "{" : ",", json_quote(name), ":", value);
  }
  void add(const std::string& name, const std::optional<uint64_t>& value) {
    if (value) add(name, std::to_string(*value));
  }
  void add(const std::string& name, const std::optional<double>& value) {
    if (value) add(name, absl::StrFormat("%.6g", *value));
  }
  [[nodiscard]] std::string text() const { return text_ + "}"; }

 private:
  std::string text_;
};

std::string to_json(const Percentiles& latency) {
  JsonObject object;
  object.add("p50", std::optional(in_ms(latency.p50)));
  object.add("p90", std::optional(in_ms(latency.p90)));
  object.add("p99", std::optional(in_ms(latency.p99)));
  object.add("max", std::optional(in_ms(latency.max)));
  return object.text();
}

std::string to_json(const BenchResult& result) {
  JsonObject object;
  object.add("name", json_quote(result.name));
  if (!result.skipped.empty()) {
    object.add("skipped", json_quote(result.skipped));
    return object.text();
  }
  object.add("connections", std::optional<uint64_t>(result.connections));
  object.add("followers", std::optional<uint64_t>(result.followers));
  object.add("count", result.count);
  object.add("bytes", result.bytes);
  object.add("seconds", result.seconds);
  object.add("rate", result.rate);
  object.add("mib_per_second", result.mib_per_second);
  if (result.latency) object.add("latency_ms", to_json(*result.latency));
  object.add("scheduler_cpu_us", result.scheduler_cpu_us);
  return object.text();
}

std::string rounded(double value) {
  return absl::StrFormat("%.*f", value < 10 ? 2 : value < 100 ? 1 : 0, value);
}

std::string amount_of(const BenchResult& result) {
  if (result.bytes) return format_size(*result.bytes);
  return result.count ? std::to_string(*result.count) : "";
}

std::string over_of(const BenchResult& result) {
  if (result.connections) return absl::StrCat(*result.connections, " connections");
  return result.followers ? absl::StrCat(*result.followers, " followers") : "";
}

std::string rate_of(const BenchResult& result) {
  if (result.mib_per_second) return rounded(*result.mib_per_second) + " MiB/s";
  return result.rate ? rounded(*result.rate) + "/s" : "";
}

}  // namespace

std::string to_json(const BenchReport& report) {
  std::string results;
  for (const BenchResult& result : report.results) {
    absl::StrAppend(&results, results.empty() ? "" : ",", to_json(result));
  }
  JsonObject object;
  object.add("clusterd", json_quote(version()));
  object.add("standalone", std::string(report.is_standalone ? "true" : "false"));
  object.add("http", json_quote(report.http));
  object.add("slots", std::optional<uint64_t>(report.slots));
  object.add("results", "[" + results + "]");
  return object.text();
}

std::vector<std::vector<std::string>> rows_of(const BenchReport& report) {
  std::vector<std::vector<std::string>> rows = {{"MEASUREMENT", "OVER", "AMOUNT", "SECONDS", "RATE",
                                                 "P50 MS", "P90 MS", "P99 MS", "MAX MS",
                                                 "SCHEDULER CPU US"}};
  for (const BenchResult& result : report.results) {
    if (!result.skipped.empty()) {
      rows.push_back({result.name, "skipped", "", "", "", "", "", "", "", ""});
      continue;
    }
    std::vector<std::string> row = {result.name, over_of(result), amount_of(result),
                                    result.seconds ? rounded(*result.seconds) : "",
                                    rate_of(result)};
    const std::optional<Percentiles>& latency = result.latency;
    for (const auto percentile :
         {&Percentiles::p50, &Percentiles::p90, &Percentiles::p99, &Percentiles::max}) {
      row.push_back(latency ? rounded(in_ms((*latency).*percentile)) : "");
    }
    row.push_back(result.scheduler_cpu_us ? rounded(*result.scheduler_cpu_us) : "");
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace clusterd::bench
