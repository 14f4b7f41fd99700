#include "bench/handler_bench.h"

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/job_ends.h"
#include "bench/load.h"
#include "bench/metric_value.h"
#include "bench/requesters.h"
#include "clusterd/worker.h"

namespace clusterd::bench {
namespace {

using std::chrono::steady_clock;

constexpr uint64_t kTasks = 100'000;
constexpr uint64_t kSingleJobs = 10'000;
constexpr uint32_t kConnections = 16;
constexpr uint32_t kSlots = 256;  // enough for a commit to hold many ends
constexpr char kArray[] = "handlers-array";
constexpr char kSingle[] = "handlers-single";

// A folder that goes with its owner.
class ScratchFolder {
 public:
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  absl::Status make() {
    std::error_code error;
    const auto base = std::filesystem::temp_directory_path(error);
    std::string path = (error ? "/tmp" : base.string()) + "/clusterd-bench-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) return absl::ErrnoToStatus(errno, path);
    path_ = std::move(path);
    return absl::OkStatus();
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string handler_name(const BenchRun& run) { return "bench-" + run.label(); }

WorkerOptions worker_options(const BenchRun& run, const std::string& folder) {
  const ClientConfig& grpc = run.target().grpc;
  return {.scheduler_addresses = grpc.addr,
          .name = handler_name(run),
          .data_dir = folder,
          .slots = kSlots,
          .crt_file = grpc.crt_file,
          .key_file = grpc.key_file,
          .ca_file = grpc.crt_file.empty() ? "" : grpc.ca_file,
          .log_level = "error"};
}

v1::JobSpec handler_job(const BenchRun& run) {
  v1::JobSpec spec = run.job("bench-handler");
  spec.set_handler(handler_name(run));
  return spec;
}

absl::StatusOr<double> scheduler_cpu_seconds(const BenchRun& run) {
  const auto http = run.http();
  if (!http.ok()) return http.status();
  const auto answer = (*http)->get("/metrics", kCallTimeout);
  if (!answer.ok()) return answer.status();
  if (absl::Status status = check_status(*answer, 200); !status.ok()) return status;
  return metric_value(answer->body, "process_cpu_seconds_total");
}

// `measured` gives how long its `count` jobs took.
absl::StatusOr<BenchResult> with_cpu(
    const BenchRun& run, const std::string& name, uint64_t count,
    const std::function<absl::StatusOr<std::chrono::nanoseconds>()>& measured) {
  run.tell(name);
  const auto before = scheduler_cpu_seconds(run);
  if (!before.ok()) return before.status();
  const auto duration = measured();
  if (!duration.ok()) return duration.status();
  const auto after = scheduler_cpu_seconds(run);
  if (!after.ok()) return after.status();
  const double seconds = std::chrono::duration<double>(*duration).count();
  const auto jobs = static_cast<double>(count);
  return BenchResult{.name = name,
                     .count = count,
                     .seconds = seconds,
                     .rate = jobs / seconds,
                     .scheduler_cpu_us = (*after - *before) * 1e6 / jobs};
}

absl::StatusOr<std::chrono::nanoseconds> run_array(const BenchRun& run, uint64_t count) {
  const auto client = run.client();
  if (!client.ok()) return client.status();
  v1::StartJobRequest request;
  *request.mutable_spec() = handler_job(run);
  request.mutable_spec()->mutable_array()->set_to(static_cast<uint32_t>(count - 1));
  const auto begin = steady_clock::now();
  const auto started = (*client)->start(request, {.deadline = kCallTimeout});
  if (!started.ok()) return started.status();
  const auto job =
      (*client)->wait(started->job_id(), {.deadline = kJobsTimeout, .stop = run.stop().token()});
  const auto end = steady_clock::now();
  if (!job.ok()) return job.status();
  if (absl::Status status = check_success(*job); !status.ok()) return status;
  const auto succeeded = job->task_counts().find("SUCCEEDED");
  if (succeeded != job->task_counts().end() && succeeded->second == count) return end - begin;
  return absl::DataLossError(
      absl::StrCat("array ", job->job_id(), " has not run all of its ", count, " tasks"));
}

absl::StatusOr<std::chrono::nanoseconds> run_single_jobs(const BenchRun& run, uint64_t count) {
  JobEnds ends(run);
  if (absl::Status status = ends.begin(); !status.ok()) return status;
  const auto submitter = submit_over_grpc(
      run, handler_job(run), [&ends](std::string job_id) { ends.add(std::move(job_id)); });
  if (!submitter.ok()) return submitter.status();
  const auto load = run_load(kConnections, count, *submitter, run.stop().token());
  if (!load.ok()) return load.status();
  if (absl::Status status = ends.wait(); !status.ok()) return status;
  return steady_clock::now() - load->begin;
}

std::vector<BenchResult> skipped(const std::string& why) {
  return {BenchResult{.name = kArray, .skipped = why},
          BenchResult{.name = kSingle, .skipped = why}};
}

}  // namespace

Results measure_handlers(const BenchRun& run) {
  run.tell("handlers, joining");
  const ClientConfig& grpc = run.target().grpc;
  if (!grpc.ca_file.empty() && grpc.crt_file.empty()) {
    return skipped("workers of this cluster need a certificate: give --cert and --key of a worker");
  }
  ScratchFolder folder;
  if (absl::Status status = folder.make(); !status.ok()) return status;
  Worker worker(worker_options(run, folder.path()));
  worker.handle(handler_name(run), [](JobContext&) { return absl::OkStatus(); });
  if (absl::Status status = worker.start(); !status.ok()) return status;
  // It waits until the worker has joined.
  const auto why_not = run.why_not(handler_job(run));
  if (!why_not.ok()) return why_not.status();
  if (!why_not->empty()) return skipped("no worker could join: " + *why_not);

  const uint64_t tasks = run.count_or(kTasks);
  auto array = with_cpu(run, kArray, tasks, [&] { return run_array(run, tasks); });
  if (!array.ok()) return array.status();
  const uint64_t jobs = run.count_or(kSingleJobs);
  auto single = with_cpu(run, kSingle, jobs, [&] { return run_single_jobs(run, jobs); });
  if (!single.ok()) return single.status();
  return std::vector{*std::move(array), *std::move(single)};
}

}  // namespace clusterd::bench
