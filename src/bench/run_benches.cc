#include "bench/run_benches.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/cord.h"
#include "bench/bench_cleanup.h"
#include "bench/burst_bench.h"
#include "bench/handler_bench.h"
#include "bench/latency_bench.h"
#include "bench/live_line_bench.h"
#include "bench/output_bench.h"
#include "bench/submit_bench.h"
#include "core/ids.h"

namespace clusterd::bench {
namespace {

struct Measurement {
  const char* name;
  Results (*measure)(const BenchRun& run);
};

constexpr std::array<Measurement, 8> kMeasurements = {{
    {"submit-http", measure_submits_over_http},
    {"submit-grpc", measure_submits_over_grpc},
    {"burst-true", measure_burst_of_true},
    {"burst-script", measure_burst_of_scripts},
    {"latency", measure_latency},
    {"handlers", measure_handlers},
    {"output", measure_output},
    {"live-line", measure_live_lines},
}};

// The error with another text, and with all else that belongs to it.
absl::Status with_text(const absl::Status& status, const std::string& text) {
  absl::Status changed(status.code(), text);
  status.ForEachPayload([&changed](absl::string_view type, const absl::Cord& payload) {
    changed.SetPayload(type, payload);
  });
  return changed;
}

absl::Status about(const std::string& name, const absl::Status& status) {
  return with_text(status, name + ": " + std::string(status.message()));
}

absl::Status also(const absl::Status& status, const std::string& other) {
  return with_text(status, std::string(status.message()) + "; " + other);
}

absl::Status measure_all(const BenchRun& run, BenchReport& report) {
  const auto client = run.scheduler();
  if (!client.ok()) return client.status();
  const auto cluster = (*client)->cluster(run.stop().token());
  if (!cluster.ok()) return cluster.status();
  report.slots = cluster->capacity().slots();
  const auto& only = run.plan().only;
  for (const Measurement& measurement : kMeasurements) {
    if (!only.empty() && !only.contains(measurement.name)) continue;
    auto results = measurement.measure(run);
    if (!results.ok()) return about(measurement.name, results.status());
    std::move(results->begin(), results->end(), std::back_inserter(report.results));
  }
  const bool is_all_skipped =
      std::all_of(report.results.begin(), report.results.end(),
                  [](const BenchResult& result) { return !result.skipped.empty(); });
  if (!is_all_skipped) return absl::OkStatus();
  return absl::FailedPreconditionError("nothing could be measured");
}

}  // namespace

std::vector<std::string> measurement_names() {
  std::vector<std::string> names;
  for (const Measurement& measurement : kMeasurements) names.emplace_back(measurement.name);
  return names;
}

BenchOutcome run_benches(const BenchTarget& target, const BenchPlan& plan, const StopFd& stop,
                         const StopFd& cleanup_stop, const BenchRun::Progress& progress) {
  const BenchRun run(target, plan, stop, progress, new_uuid_v4());
  BenchOutcome outcome{.report = {.is_standalone = target.is_standalone, .http = target.http.addr},
                       .status = absl::OkStatus()};
  outcome.status = measure_all(run, outcome.report);
  if (target.is_standalone) return outcome;
  const absl::Status removed = remove_jobs(run, cleanup_stop);
  if (outcome.status.ok()) {
    outcome.status = removed;
  } else if (!removed.ok()) {
    outcome.status = also(outcome.status, std::string(removed.message()));
  }
  return outcome;
}

}  // namespace clusterd::bench
