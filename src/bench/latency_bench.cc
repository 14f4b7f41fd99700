#include "bench/latency_bench.h"

#include <google/protobuf/util/json_util.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/clock.h"
#include "core/proto_time.h"

namespace clusterd::bench {
namespace {

using std::chrono::steady_clock;

constexpr uint64_t kJobs = 300;
constexpr uint64_t kWarmUp = 20;
constexpr std::chrono::seconds kJobTimeout(60);

absl::StatusOr<v1::Job> parse_job(const std::string& json) {
  v1::Job job;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &job, options);
  if (!status.ok()) return absl::DataLossError("the answer is no job: " + status.ToString());
  return job;
}

struct Times {
  std::chrono::nanoseconds to_start{0};
  std::chrono::nanoseconds to_end{0};
};

absl::StatusOr<Times> run_one(HttpConnection& http, const std::string& body) {
  const WallTime submit_time = SystemClock().now().wall;
  const auto begin = steady_clock::now();
  const auto job_id = submit(http, body);
  if (!job_id.ok()) return job_id.status();
  const auto answer = http.get("/v1/jobs/" + *job_id + "/wait?timeout=50s", kJobTimeout);
  const auto end = steady_clock::now();
  if (!answer.ok()) return answer.status();
  if (absl::Status status = check_status(*answer, 200); !status.ok()) return status;
  const auto job = parse_job(answer->body);
  if (!job.ok()) return job.status();
  if (absl::Status status = check_success(*job); !status.ok()) return status;
  return Times{.to_start = from_proto(job->start_time()) - submit_time, .to_end = end - begin};
}

}  // namespace

Results measure_latency(const BenchRun& run) {
  run.tell("latency");
  const auto why_not = run.why_not(run.true_job());
  if (!why_not.ok()) return why_not.status();
  if (!why_not->empty()) {
    return std::vector{BenchResult{.name = "submit-to-start", .skipped = *why_not},
                       BenchResult{.name = "submit-to-end", .skipped = *why_not}};
  }
  const auto body = to_body(run.true_job());
  if (!body.ok()) return body.status();
  const auto http = run.http();
  if (!http.ok()) return http.status();
  const uint64_t count = run.count_or(kJobs);
  Latencies to_start;
  Latencies to_end;
  for (uint64_t i = 0; i < kWarmUp + count; ++i) {
    const auto times = run_one(**http, *body);
    if (!times.ok()) return times.status();
    if (i < kWarmUp) continue;
    to_start.add(times->to_start);
    to_end.add(times->to_end);
  }
  return std::vector{
      BenchResult{.name = "submit-to-start", .count = count, .latency = to_start.percentiles()},
      BenchResult{.name = "submit-to-end", .count = count, .latency = to_end.percentiles()}};
}

}  // namespace clusterd::bench
