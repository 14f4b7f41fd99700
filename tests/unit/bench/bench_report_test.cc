#include "bench/bench_report.h"

#include <catch2/catch.hpp>

#include "clusterd/version.h"

namespace clusterd::bench {
namespace {

using std::chrono::microseconds;

BenchReport sample() {
  const Percentiles latency{.p50 = microseconds(4'100),
                            .p90 = microseconds(6'000),
                            .p99 = microseconds(9'040),
                            .max = microseconds(120'000)};
  BenchReport report{.is_standalone = true, .http = "127.0.0.1:3000", .slots = 8, .results = {}};
  report.results = {
      {.name = "submit-http",
       .connections = 16,
       .count = 4'000,
       .seconds = 1.25,
       .rate = 3'200,
       .latency = latency},
      {.name = "handlers-array",
       .count = 100'000,
       .seconds = 5,
       .rate = 20'000,
       .scheduler_cpu_us = 41.5},
      {.name = "output", .followers = 4, .bytes = 1U << 30, .seconds = 10, .mib_per_second = 409.6},
      {.name = "burst-true", .skipped = "\"true\" is not allowed"}};
  return report;
}

TEST_CASE("the document has what belongs to each measurement and nothing else", "[bench]") {
  CHECK(to_json(sample()) ==
        std::string(R"({"clusterd":")") + version() +
            R"(","standalone":true,"http":"127.0.0.1:3000","slots":8,"results":[)"
            R"({"name":"submit-http","connections":16,"count":4000,"seconds":1.25,"rate":3200,)"
            R"("latency_ms":{"p50":4.1,"p90":6,"p99":9.04,"max":120}},)"
            R"({"name":"handlers-array","count":100000,"seconds":5,"rate":20000,)"
            R"("scheduler_cpu_us":41.5},)"
            R"({"name":"output","followers":4,"bytes":1073741824,"seconds":10,)"
            R"("mib_per_second":409.6},)"
            R"({"name":"burst-true","skipped":"\"true\" is not allowed"}]})");
}

TEST_CASE("a report without results is a document", "[bench]") {
  CHECK(to_json({}) == std::string(R"({"clusterd":")") + version() +
                           R"(","standalone":false,"http":"","slots":0,"results":[]})");
}

TEST_CASE("people get a head and a row for each result", "[bench]") {
  const auto rows = rows_of(sample());

  REQUIRE(rows.size() == 5);
  for (const auto& row : rows) CHECK(row.size() == rows.front().size());
  CHECK(rows[1] == std::vector<std::string>{"submit-http", "16 connections", "4000", "1.25",
                                            "3200/s", "4.10", "6.00", "9.04", "120", ""});
  CHECK(rows[2].back() == "41.5");
  CHECK(rows[3] == std::vector<std::string>{"output", "4 followers", "1GiB", "10.0", "410 MiB/s",
                                            "", "", "", "", ""});
  CHECK(rows[4][1] == "skipped");
}

}  // namespace
}  // namespace clusterd::bench
