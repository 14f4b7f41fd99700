#include "bench/live_line_bench.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/clock_line.h"
#include "core/clock.h"

namespace clusterd::bench {
namespace {

constexpr uint64_t kLines = 300;
constexpr char kBetween[] = "0.02";  // seconds
constexpr std::chrono::seconds kTimeout(90);

// Takes the stream apart; each line's time is that of its end.
class Arrivals {
 public:
  void add(std::string_view piece) {
    const WallTime now = SystemClock().now().wall;
    while (!piece.empty()) {
      const size_t end = piece.find('\n');
      line_ += piece.substr(0, end);
      if (end == std::string_view::npos) return;
      add_line(now);
      piece.remove_prefix(end + 1);
    }
  }
  [[nodiscard]] const absl::StatusOr<Latencies>& latencies() const { return latencies_; }

 private:
  void add_line(WallTime now) {
    const auto written = parse_clock_line(line_);
    line_.clear();
    if (!latencies_.ok()) return;
    if (!written.ok()) {
      latencies_ = written.status();
    } else {
      latencies_->add(now.time_since_epoch() - *written);
    }
  }

  std::string line_;
  absl::StatusOr<Latencies> latencies_ = Latencies();
};

}  // namespace

Results measure_live_lines(const BenchRun& run) {
  run.tell("live-line");
  const std::string name = "live-line";
  const auto why_not = run.why_not(run.script_job(kClockLines, {"1", kBetween}));
  if (!why_not.ok()) return why_not.status();
  if (!why_not->empty()) return std::vector{BenchResult{.name = name, .skipped = *why_not}};
  const auto http = run.http();
  if (!http.ok()) return http.status();
  const auto body = to_body(run.script_job(kClockLines, {std::to_string(kLines), kBetween}));
  if (!body.ok()) return body.status();
  const auto job_id = submit(**http, *body);
  if (!job_id.ok()) return job_id.status();
  Arrivals arrivals;
  const auto answer = (*http)->stream(
      "/v1/jobs/" + *job_id + "/output?follow=true",
      [&arrivals](std::string_view piece) { arrivals.add(piece); }, kTimeout);
  if (!answer.ok()) return answer.status();
  if (absl::Status status = check_status(*answer, 200); !status.ok()) return status;
  if (!arrivals.latencies().ok()) return arrivals.latencies().status();
  const uint64_t count = arrivals.latencies()->count();
  if (count != kLines) {
    return absl::DataLossError(absl::StrCat(count, " lines arrived instead of ", kLines));
  }
  return std::vector{
      BenchResult{.name = name, .count = count, .latency = arrivals.latencies()->percentiles()}};
}

}  // namespace clusterd::bench
