#include "bench/bench_run.h"

#include <google/protobuf/util/json_util.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/proto_time.h"

namespace clusterd::bench {
namespace {

constexpr std::chrono::seconds kLongestQueueing(20);  // of the job that finds out
constexpr std::chrono::seconds kLongestTrial(60);
constexpr char kJobs[] = "/v1/jobs/";

constexpr std::string_view kTenLinesContent =
    R"(for i in 1 2 3 4 5 6 7 8 9 10; do echo "line $i of job output, some plausible text"; done
)";
constexpr std::string_view kOutputContent = R"(exec head -c "$1" /dev/zero
)";
// Nobody writes into the pipe that is read, so reading from it waits, and no process is started.
constexpr std::string_view kClockContent = R"(exec {never}<> <(:)
for ((i = 0; i < $1; i++)); do
  echo "$EPOCHREALTIME"
  read -rt "$2" -u "$never"
done
exit 0
)";

}  // namespace

const std::vector<BenchScript>& standalone_scripts() {
  static const std::vector<BenchScript> kScripts = {
      {kTenLines, kTenLinesContent}, {kOutput, kOutputContent}, {kClockLines, kClockContent}};
  return kScripts;
}

BenchRun::BenchRun(const BenchTarget& target, const BenchPlan& plan, const StopFd& stop,
                   Progress progress, std::string label)
    : target_(target),
      plan_(plan),
      stop_(stop),
      progress_(std::move(progress)),
      label_(std::move(label)) {}

v1::JobSpec BenchRun::job(const std::string& name) const {
  v1::JobSpec spec;
  spec.set_name(name);
  (*spec.mutable_labels())[kRunLabel] = label_;
  return spec;
}

v1::JobSpec BenchRun::true_job() const {
  v1::JobSpec spec = job("bench-true");
  spec.set_command("true");
  return spec;
}

v1::JobSpec BenchRun::script_job(std::string_view script, std::vector<std::string> args) const {
  v1::JobSpec spec = job("bench-" + std::string(script));
  spec.set_path(std::string(script));
  spec.set_command("bash");
  for (std::string& arg : args) spec.add_args(std::move(arg));
  if (target_.is_standalone) return spec;
  for (const BenchScript& one : standalone_scripts()) {
    if (one.name == script) spec.mutable_script()->set_content(std::string(one.content));
  }
  return spec;
}

absl::StatusOr<std::unique_ptr<HttpConnection>> BenchRun::http() const {
  return HttpConnection::open(target_.http, stop_);
}

absl::StatusOr<std::unique_ptr<Client>> BenchRun::client() const {
  const ClientConfig& grpc = target_.grpc;
  ClientOptions options{.addresses = grpc.addr,
                        .token = grpc.token,
                        .ca_file = grpc.ca_file,
                        .crt_file = grpc.crt_file,
                        .key_file = grpc.key_file};
  options.max_attempts = 1;  // a repetition would be measured as one call
  return Client::make(std::move(options));
}

absl::StatusOr<std::unique_ptr<SchedulerClient>> BenchRun::scheduler() const {
  return SchedulerClient::make(target_.grpc);
}

absl::StatusOr<std::string> BenchRun::why_not(v1::JobSpec spec) const {
  const auto client = scheduler();
  if (!client.ok()) return client.status();
  *spec.mutable_queue_timeout() = to_proto(kLongestQueueing);
  v1::StartJobRequest request;
  *request.mutable_spec() = std::move(spec);
  const auto started = (*client)->start(std::move(request));
  if (!started.ok()) return started.status();
  const auto job = (*client)->wait(started->job_id(), kLongestTrial, stop_.token());
  if (!job.ok()) return job.status();
  const absl::Status status = check_success(*job);
  if (status.ok()) return "";
  if (target_.is_standalone) return status;
  return std::string(status.message());
}

absl::StatusOr<std::string> to_body(const v1::JobSpec& spec) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string body;
  const auto status = google::protobuf::util::MessageToJsonString(spec, &body, options);
  if (!status.ok()) return absl::InternalError("JSON of a job: " + status.ToString());
  return body;
}

absl::StatusOr<std::string> submit(HttpConnection& http, const std::string& body) {
  const auto answer = http.post("/v1/jobs", body, kCallTimeout);
  if (!answer.ok()) return answer.status();
  if (absl::Status status = check_status(*answer, 201); !status.ok()) return status;
  if (!absl::StartsWith(answer->location, kJobs)) {
    return absl::DataLossError("the answer to a submit names no job: \"" + answer->location + "\"");
  }
  return answer->location.substr(sizeof kJobs - 1);
}

absl::Status check_success(const v1::Job& job) {
  if (job.state() == v1::Job::SUCCEEDED) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "job ", job.job_id(), " (", job.spec().name(), ") is ", std::string(name_of(job.state())),
      ": ", job.end().message().empty() ? job.end().output_tail() : job.end().message()));
}

}  // namespace clusterd::bench
