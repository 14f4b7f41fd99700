#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/bench_http.h"
#include "bench/bench_report.h"
#include "bench/stop_fd.h"
#include "client/scheduler_client.h"
#include "clusterd/client.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd::bench {

// What is to be measured, and how much of it.
struct BenchPlan {
  std::set<std::string> only;    // names of measurements; empty: all
  std::optional<uint64_t> jobs;  // instead of the number that each has
  std::vector<uint32_t> connections = {1, 4, 16, 64};
  std::vector<uint32_t> followers = {1, 4, 16};
  uint64_t output_bytes = 0;
};

// The cluster that is measured.
struct BenchTarget {
  ClientConfig grpc;
  HttpEndpoint http;
  // Started for this: its worker has standalone_scripts() in its scripts folder. Otherwise scripts
  // go along with their jobs.
  bool is_standalone = false;
};

using Results = absl::StatusOr<std::vector<BenchResult>>;

// One run of `clusterd bench`: what all of its measurements share.
//
// Owned by run_benches(); the measurements run one after the other and may use it on their threads,
// since nothing of it changes.
class BenchRun {
 public:
  // For people who wait.
  using Progress = std::function<void(const std::string&)>;

  // All references must outlive it. `label` is a value that no other run has.
  BenchRun(const BenchTarget& target, const BenchPlan& plan, const StopFd& stop, Progress progress,
           std::string label);

  [[nodiscard]] const BenchTarget& target() const { return target_; }
  [[nodiscard]] const BenchPlan& plan() const { return plan_; }
  [[nodiscard]] const StopFd& stop() const { return stop_; }
  [[nodiscard]] const std::string& label() const { return label_; }
  void tell(const std::string& text) const { progress_(text); }
  [[nodiscard]] uint64_t count_or(uint64_t usual) const { return plan_.jobs.value_or(usual); }

  // A job of this run without anything to run yet.
  [[nodiscard]] v1::JobSpec job(const std::string& name) const;
  // `true` as a program.
  [[nodiscard]] v1::JobSpec true_job() const;
  // One of standalone_scripts(), run by bash.
  [[nodiscard]] v1::JobSpec script_job(std::string_view script,
                                       std::vector<std::string> args) const;

  // Connections of their own.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<HttpConnection>> http() const;
  [[nodiscard]] absl::StatusOr<std::unique_ptr<Client>> client() const;
  [[nodiscard]] absl::StatusOr<std::unique_ptr<SchedulerClient>> scheduler() const;

  // Runs one such job to its end, which warms up what a measurement needs too. Empty: it SUCCEEDED.
  // Otherwise why this cluster does not run such jobs; one that was started for this has to, so of
  // that it is an error.
  [[nodiscard]] absl::StatusOr<std::string> why_not(v1::JobSpec spec) const;

 private:
  const BenchTarget& target_;
  const BenchPlan& plan_;
  const StopFd& stop_;
  const Progress progress_;
  const std::string label_;
};

// The label that all jobs of a run have; its value is the run's.
inline constexpr char kRunLabel[] = "clusterd-bench";
inline constexpr char kTenLines[] = "ten_lines.sh";
inline constexpr char kOutput[] = "output.sh";     // argument: bytes
inline constexpr char kClockLines[] = "clock.sh";  // arguments: lines, seconds between two
// Longest that one call may take which does not wait for jobs.
inline constexpr std::chrono::seconds kCallTimeout{30};
// Longest that jobs of one measurement may take.
inline constexpr std::chrono::minutes kJobsTimeout{10};

struct BenchScript {
  std::string_view name;
  std::string_view content;
};
[[nodiscard]] const std::vector<BenchScript>& standalone_scripts();

// The body of POST /v1/jobs.
[[nodiscard]] absl::StatusOr<std::string> to_body(const v1::JobSpec& spec);
// Submits it and gives its id.
[[nodiscard]] absl::StatusOr<std::string> submit(HttpConnection& http, const std::string& body);
// OK: it SUCCEEDED.
[[nodiscard]] absl::Status check_success(const v1::Job& job);

}  // namespace clusterd::bench
