#include "bench/metric_value.h"

#include <catch2/catch.hpp>

namespace clusterd::bench {
namespace {

TEST_CASE("a metric is found by its whole name", "[bench]") {
  constexpr char kPage[] =
      "# TYPE process_cpu_seconds_total counter\n"
      "process_cpu_seconds_total_of_others 7\n"
      "process_cpu_seconds_total 1.25\n"
      "last 3";

  CHECK(metric_value(kPage, "process_cpu_seconds_total").value() == 1.25);
  CHECK(metric_value(kPage, "last").value() == 3);
}

TEST_CASE("a metric that is not there, or no number, is told", "[bench]") {
  CHECK(absl::IsNotFound(metric_value("", "cpu").status()));
  CHECK(absl::IsNotFound(metric_value("cpu much\n", "cpu").status()));
  CHECK(absl::IsNotFound(metric_value("cpu{mode=\"user\"} 1\n", "cpu").status()));
}

}  // namespace
}  // namespace clusterd::bench
