#include "bench/submit_bench.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/load.h"
#include "bench/requesters.h"
#include "core/proto_time.h"

namespace clusterd::bench {
namespace {

constexpr std::chrono::hours kHeld(24);
constexpr uint64_t kOfOneConnection = 500;
constexpr uint64_t kMost = 4'000;

// They are as many as were answered, and none of them began.
absl::Status stop_held(const BenchRun& run, const std::string& name, uint64_t count) {
  const auto client = run.scheduler();
  if (!client.ok()) return client.status();
  v1::StopMatchingJobsRequest request;
  request.mutable_selection()->set_name(name);
  request.mutable_selection()->add_label(absl::StrCat(kRunLabel, "=", run.label()));
  const auto stopped = (*client)->stop_matching(request, run.stop().token());
  if (!stopped.ok()) return stopped.status();
  if (stopped->count() == count) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(count, " submits of ", name, " were answered, and ",
                                          stopped->count(), " jobs are there"));
}

using MakeSubmitter = absl::StatusOr<MakeRequester> (*)(const BenchRun&, const v1::JobSpec&,
                                                        JobSink);

Results measure(const BenchRun& run, const std::string& name, MakeSubmitter make_submitter) {
  std::vector<BenchResult> results;
  for (const uint32_t connections : run.plan().connections) {
    run.tell(absl::StrCat(name, ", ", connections, " connections"));
    v1::JobSpec spec = run.true_job();
    spec.set_name(absl::StrCat(name, "-", connections));
    *spec.mutable_start_delay() = to_proto(kHeld);
    const auto submitter = make_submitter(run, spec, nullptr);
    if (!submitter.ok()) return submitter.status();
    const uint64_t count = run.count_or(std::min(kOfOneConnection * connections, kMost));
    const auto load = run_load(connections, count, *submitter, run.stop().token());
    if (!load.ok()) return load.status();
    if (absl::Status status = stop_held(run, spec.name(), count); !status.ok()) return status;
    const double seconds = std::chrono::duration<double>(load->duration).count();
    results.push_back({.name = name,
                       .connections = connections,
                       .count = count,
                       .seconds = seconds,
                       .rate = static_cast<double>(count) / seconds,
                       .latency = load->latencies.percentiles()});
  }
  return results;
}

}  // namespace

Results measure_submits_over_http(const BenchRun& run) {
  return measure(run, "submit-http", submit_over_http);
}

Results measure_submits_over_grpc(const BenchRun& run) {
  return measure(run, "submit-grpc", submit_over_grpc);
}

}  // namespace clusterd::bench
