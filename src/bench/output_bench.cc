#include "bench/output_bench.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/load.h"

namespace clusterd::bench {
namespace {

constexpr uint64_t kWholeReads = 4;
constexpr uint64_t kLeastRate = 4ULL << 20;  // bytes a second: slower is not waited for
constexpr double kMib = 1 << 20;

std::chrono::nanoseconds longest_for(uint64_t bytes) {
  return kCallTimeout + std::chrono::seconds(bytes / kLeastRate);
}

// The job that has written it all. An empty id: the cluster does not run such jobs, and `why_not`
// says why.
absl::StatusOr<std::string> write_output(const BenchRun& run, std::string& why_not) {
  const uint64_t bytes = run.plan().output_bytes;
  v1::JobSpec trial = run.script_job(kOutput, {"1"});
  trial.mutable_output()->set_max_bytes(bytes);
  const auto refusal = run.why_not(std::move(trial));
  if (!refusal.ok()) return refusal.status();
  why_not = *refusal;
  if (!why_not.empty()) return "";

  const auto client = run.scheduler();
  if (!client.ok()) return client.status();
  v1::StartJobRequest request;
  *request.mutable_spec() = run.script_job(kOutput, {std::to_string(bytes)});
  request.mutable_spec()->mutable_output()->set_max_bytes(bytes);
  const auto started = (*client)->start(std::move(request));
  if (!started.ok()) return started.status();
  const auto job = (*client)->wait(started->job_id(), longest_for(bytes), run.stop().token());
  if (!job.ok()) return job.status();
  if (absl::Status status = check_success(*job); !status.ok()) return status;
  const auto& outputs = job->end().outputs();
  if (outputs.size() == 1 && outputs[0].total_bytes() == bytes && outputs[0].first_kept() == 0) {
    return job->job_id();
  }
  return absl::DataLossError(absl::StrCat("job ", job->job_id(), " wrote ", bytes,
                                          " bytes, and not all of them are kept"));
}

absl::StatusOr<Requester> make_follower(const BenchRun& run, const std::string& job_id,
                                        uint64_t bytes, uint64_t readers) {
  auto made = run.http();
  if (!made.ok()) return made.status();
  const std::shared_ptr<HttpConnection> http = *std::move(made);  // shared by the function's copies
  const std::string target =
      absl::StrCat("/v1/jobs/", job_id, "/output?follow=true&max_bytes=", bytes);
  const auto longest = longest_for(bytes * readers);
  return [http, target, bytes, longest](uint64_t) -> absl::Status {
    uint64_t received = 0;
    const auto answer = http->stream(
        target, [&received](std::string_view piece) { received += piece.size(); }, longest);
    if (!answer.ok()) return answer.status();
    if (absl::Status status = check_status(*answer, 200); !status.ok()) return status;
    if (received == bytes) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat("a follower got ", received, " bytes instead of ", bytes));
  };
}

}  // namespace

Results measure_output(const BenchRun& run) {
  run.tell("output, the job writes");
  std::string why_not;
  const auto job_id = write_output(run, why_not);
  if (!job_id.ok()) return job_id.status();
  if (!why_not.empty()) return std::vector{BenchResult{.name = "output", .skipped = why_not}};
  std::vector<BenchResult> results;
  for (const uint32_t followers : run.plan().followers) {
    run.tell(absl::StrCat("output, followers: ", followers));
    const uint64_t whole = run.plan().output_bytes;
    const uint64_t bytes =
        followers <= kWholeReads ? whole : std::max<uint64_t>(whole * kWholeReads / followers, 1);
    const auto load = run_load(
        followers, followers, [&] { return make_follower(run, *job_id, bytes, followers); },
        run.stop().token());
    if (!load.ok()) return load.status();
    const double seconds = std::chrono::duration<double>(load->duration).count();
    results.push_back({.name = "output",
                       .followers = followers,
                       .bytes = bytes,
                       .seconds = seconds,
                       .mib_per_second = static_cast<double>(bytes) * followers / kMib / seconds});
  }
  return results;
}

}  // namespace clusterd::bench
