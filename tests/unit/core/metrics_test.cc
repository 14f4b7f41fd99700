#include "core/metrics.h"

#include <array>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

namespace clusterd {

TEST_CASE("a page has families with their samples", "[metrics]") {
  MetricsPage page;
  page.counter("a_total", "First.");
  page.sample(uint64_t{3}, {{"state", "x"}, {"name", "with \"quotes\"\\ and\nlines"}});
  page.gauge("b", "Second.");
  page.sample(0.25);

  CHECK(page.text() ==
        "# HELP a_total First.\n# TYPE a_total counter\n"
        "a_total{state=\"x\",name=\"with \\\"quotes\\\"\\\\ and\\nlines\"} 3\n"
        "# HELP b Second.\n# TYPE b gauge\nb 0.25\n");
}

TEST_CASE("a histogram counts values up to each bound", "[metrics]") {
  constexpr std::array kBounds = {1.0, 2.0};
  Histogram histogram(kBounds);
  for (const double value : {0.5, 1.0, 1.5, 7.0}) histogram.observe(value);
  MetricsPage page;
  page.histogram("h", "Help.", histogram);

  CHECK(page.text() ==
        "# HELP h Help.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 3\n"
        "h_bucket{le=\"+Inf\"} 4\nh_sum 10\nh_count 4\n");
}

TEST_CASE("counts of many threads are all there", "[metrics]") {
  constexpr int kThreads = 4;
  constexpr int kTimes = 10'000;
  Counter counter;
  Histogram histogram(time_bounds());
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&counter, &histogram] {
      for (int j = 0; j < kTimes; ++j) {
        counter.add();
        histogram.observe(std::chrono::milliseconds(1));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  CHECK(counter.value() == kThreads * kTimes);
  CHECK(histogram.count() == kThreads * kTimes);
  CHECK(histogram.sum() == Approx(kThreads * kTimes * 0.001));
}

TEST_CASE("a value keeps all its digits", "[metrics]") {
  MetricsPage page;
  page.gauge("a", "Help.");
  page.sample(1764020003.25);
  page.sample(0.1);

  CHECK(page.text().ends_with("\na 1764020003.25\na 0.1\n"));
}

TEST_CASE("a process tells of itself", "[metrics]") {
  MetricsPage page;
  add_process_metrics(page);

  for (const char* name : {"process_cpu_seconds_total", "process_resident_memory_bytes",
                           "process_open_fds", "process_threads", "process_start_time_seconds"}) {
    CAPTURE(name);
    const size_t at = page.text().find("\n" + std::string(name) + " ");
    REQUIRE(at != std::string::npos);
    CHECK(std::stod(page.text().substr(at + std::string(name).size() + 2)) > 0);
  }
}

}  // namespace clusterd
