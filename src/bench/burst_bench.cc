#include "bench/burst_bench.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/job_ends.h"
#include "bench/load.h"
#include "bench/requesters.h"

namespace clusterd::bench {
namespace {

constexpr uint64_t kTrueJobs = 2'000;
constexpr uint64_t kScriptJobs = 1'000;
constexpr uint32_t kConnections = 8;
constexpr size_t kSampled = 20;

std::string ten_lines() {
  std::string text;
  for (int i = 1; i <= 10; ++i) {
    absl::StrAppend(&text, "line ", i, " of job output, some plausible text\n");
  }
  return text;
}

absl::Status check_outputs(const BenchRun& run, const std::vector<std::string>& ids,
                           const std::string& expected) {
  const auto http = run.http();
  if (!http.ok()) return http.status();
  const size_t step = std::max<size_t>(ids.size() / kSampled, 1);
  for (size_t i = 0; i < ids.size(); i += step) {
    const auto answer = (*http)->get("/v1/jobs/" + ids[i] + "/output", kCallTimeout);
    if (!answer.ok()) return answer.status();
    if (absl::Status status = check_status(*answer, 200); !status.ok()) return status;
    if (answer->body != expected) {
      return absl::DataLossError(absl::StrCat("job ", ids[i], " has an output of ",
                                              answer->body.size(), " bytes that is not its own"));
    }
  }
  return absl::OkStatus();
}

Results measure(const BenchRun& run, const std::string& name, const v1::JobSpec& spec,
                uint64_t count, const std::string& output) {
  run.tell(name);
  const auto why_not = run.why_not(spec);
  if (!why_not.ok()) return why_not.status();
  if (!why_not->empty()) return std::vector{BenchResult{.name = name, .skipped = *why_not}};

  std::vector<std::string> ids(count);
  std::atomic<size_t> submitted = 0;
  JobEnds ends(run);
  if (absl::Status status = ends.begin(); !status.ok()) return status;
  const auto submitter = submit_over_http(run, spec, [&](std::string job_id) {
    ids[submitted.fetch_add(1)] = job_id;
    ends.add(std::move(job_id));
  });
  if (!submitter.ok()) return submitter.status();
  const auto load = run_load(kConnections, count, *submitter, run.stop().token());
  if (!load.ok()) return load.status();
  if (absl::Status status = ends.wait(); !status.ok()) return status;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - load->begin).count();

  if (absl::Status status = check_outputs(run, ids, output); !status.ok()) return status;
  return std::vector{BenchResult{.name = name,
                                 .count = count,
                                 .seconds = seconds,
                                 .rate = static_cast<double>(count) / seconds}};
}

}  // namespace

Results measure_burst_of_true(const BenchRun& run) {
  return measure(run, "burst-true", run.true_job(), run.count_or(kTrueJobs), "");
}

Results measure_burst_of_scripts(const BenchRun& run) {
  return measure(run, "burst-script", run.script_job(kTenLines, {}), run.count_or(kScriptJobs),
                 ten_lines());
}

}  // namespace clusterd::bench
