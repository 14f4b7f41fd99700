#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/latencies.h"

namespace clusterd::bench {

// What one measurement found; what is absent does not belong to it.
struct BenchResult {
  std::string name;
  std::optional<uint32_t> connections = {};
  std::optional<uint32_t> followers = {};
  std::optional<uint64_t> count = {};
  std::optional<uint64_t> bytes = {};  // that each follower read
  std::optional<double> seconds = {};
  std::optional<double> rate = {};  // of what is counted, a second
  std::optional<double> mib_per_second = {};
  std::optional<Percentiles> latency = {};
  std::optional<double> scheduler_cpu_us = {};  // for each that is counted
  std::string skipped = {};                     // why it was not measured; empty: it was
};

struct BenchReport {
  bool is_standalone = false;
  std::string http;    // host:port of the HTTP API
  uint32_t slots = 0;  // of the whole cluster
  std::vector<BenchResult> results;
};

// The document of `--json`, without a newline at its end.
[[nodiscard]] std::string to_json(const BenchReport& report);

// For people: a head and a row for each result, with as many texts as the head.
[[nodiscard]] std::vector<std::vector<std::string>> rows_of(const BenchReport& report);

}  // namespace clusterd::bench
