#include "cli/print.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/status/statusor.h"
#include "cli/exit_codes.h"
#include "clusterd/job_states.h"
#include "core/signal_names.h"

namespace clusterd {
namespace {

using google::protobuf::util::TimeUtil;
using Row = std::vector<std::string>;

// Columns as wide as their widest entry, two spaces between; none after the last.
std::string to_table(const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text += std::string(widths[i] - row[i].size() + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

// What comes from others may not steer the terminal.
std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text) {
    result += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  }
  return result;
}

std::string command_of(const v1::JobSpec& spec) {
  std::string text = printable(spec.command());
  if (!spec.path().empty()) text += (text.empty() ? "" : " ") + printable(spec.path());
  for (const std::string& argument : spec.args()) text += " " + printable(argument);
  return text;
}

std::string time_text(bool is_set, const google::protobuf::Timestamp& time) {
  google::protobuf::Timestamp seconds = time;
  seconds.set_nanos(0);
  return is_set ? TimeUtil::ToString(seconds) : "-";
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : printable(text); }

std::string worker_of(const v1::Job& job, const WorkerNames& names) {
  const auto found = names.find(job.worker_id());
  const bool has_name = found != names.end() && !found->second.empty();
  return or_dash(has_name ? found->second : job.worker_id());
}

}  // namespace

absl::StatusOr<std::string> to_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!status.ok()) {
    return absl::InternalError("an answer cannot be shown as JSON: " + status.ToString());
  }
  return text;
}

std::string summary_of(const v1::Job& job) {
  const v1::JobEnd& end = job.end();
  std::string text(name_of(job.state()));
  if (!is_final(job.state())) {
    return job.pending_reason().empty() ? text : text + ": " + printable(job.pending_reason());
  }
  if (job.state() == v1::Job::SUCCEEDED) return text;
  if (end.reason() == v1::JobEnd::EXITED && end.has_exit_code()) {
    return text + ": exit code " + std::to_string(end.exit_code());
  }
  if (end.reason() == v1::JobEnd::SIGNALED && end.has_signal()) {
    return text + ": signal " + signal_name(end.signal());
  }
  text += ": " + v1::JobEnd::Reason_Name(end.reason());
  if (!end.message().empty()) text += ", " + printable(end.message());
  return text;
}

std::string describe_job(const v1::Job& job, const WorkerNames& names) {
  std::vector<Row> rows = {{"job_id", job.job_id()}};
  if (!job.spec().name().empty()) rows.push_back({"name", printable(job.spec().name())});
  rows.push_back({"state", summary_of(job)});
  rows.push_back({"command", command_of(job.spec())});
  const std::string worker = worker_of(job, names);
  const bool has_name = worker != or_dash(job.worker_id());
  rows.push_back({"worker", has_name ? worker + " (" + job.worker_id() + ")" : worker});
  rows.push_back({"attempt", std::to_string(job.attempt())});
  rows.push_back({"submitted", time_text(job.has_submit_time(), job.submit_time())});
  if (job.has_start_time()) rows.push_back({"started", time_text(true, job.start_time())});
  if (job.has_end_time()) rows.push_back({"ended", time_text(true, job.end_time())});
  if (job.has_unreachable_since()) {
    rows.push_back({"worker silent since", time_text(true, job.unreachable_since())});
  }
  std::map<std::string, uint64_t> tasks(job.task_counts().begin(), job.task_counts().end());
  for (const auto& [state, count] : tasks) {
    rows.push_back({"tasks " + state, std::to_string(count)});
  }
  if (job.has_stop_requested() && !is_final(job.state())) {
    rows.push_back({"stop requested", time_text(true, job.stop_requested().when())});
  }
  return to_table(rows);
}

std::string describe_jobs(const std::vector<v1::Job>& jobs, const WorkerNames& names) {
  std::vector<Row> rows = {{"JOB_ID", "STATE", "WORKER", "SUBMITTED", "NAME", "COMMAND"}};
  for (const v1::Job& job : jobs) {
    rows.push_back({job.job_id(), std::string(name_of(job.state())), worker_of(job, names),
                    time_text(job.has_submit_time(), job.submit_time()), or_dash(job.spec().name()),
                    command_of(job.spec())});
  }
  return to_table(rows);
}

std::string describe_workers(const v1::ListWorkersResponse& workers) {
  std::vector<Row> rows = {
      {"NAME", "STATE", "JOBS", "SLOTS", "ADDRESS", "LAST_SEEN", "VERSION", "WORKER_ID"}};
  for (const v1::Worker& worker : workers.workers()) {
    const std::string drained = worker.draining() ? " (draining)" : "";
    rows.push_back({or_dash(worker.name()), v1::Worker::State_Name(worker.state()) + drained,
                    std::to_string(worker.jobs()), std::to_string(worker.capacity().slots()),
                    or_dash(worker.address()),
                    time_text(worker.has_last_seen(), worker.last_seen()),
                    or_dash(worker.version()), worker.worker_id()});
  }
  return to_table(rows);
}

std::string describe_cluster(const v1::Cluster& cluster) {
  std::vector<Row> rows = {{"leader", or_dash(cluster.leader())},
                           {"version", or_dash(cluster.version())},
                           {"epoch", std::to_string(cluster.epoch())},
                           {"since", time_text(cluster.has_since(), cluster.since())},
                           {"slots", std::to_string(cluster.in_use().slots()) + " of " +
                                         std::to_string(cluster.capacity().slots()) + " in use"}};
  const auto add_counts = [&rows](const std::string& what, const auto& counts) {
    const std::vector<std::pair<std::string, uint64_t>> unsorted(counts.begin(), counts.end());
    std::vector<std::pair<std::string, uint64_t>> sorted = unsorted;
    std::sort(sorted.begin(), sorted.end());
    for (const auto& [state, count] : sorted) {
      rows.push_back({what + " " + state, std::to_string(count)});
    }
  };
  add_counts("workers", cluster.worker_counts());
  add_counts("jobs", cluster.job_counts());
  return to_table(rows);
}

std::string describe_explanation(const v1::ExplainJobResponse& answer) {
  std::string text = answer.job_id() + " " + std::string(name_of(answer.state())) + ": " +
                     printable(answer.summary()) + "\n";
  if (answer.jobs_ahead() > 0) {
    text += std::to_string(answer.jobs_ahead()) + " jobs are before it\n";
  }
  std::vector<Row> rows;
  for (const auto& worker : answer.workers()) {
    std::string reasons;
    for (const std::string& reason : worker.reasons()) {
      reasons += (reasons.empty() ? "" : "; ") + printable(reason);
    }
    rows.push_back({printable(worker.name()), worker.fits() ? "fits" : reasons});
  }
  return text + to_table(rows);
}

std::string describe_event(const v1::Event& event) {
  std::string text = std::to_string(event.seq()) + " " + time_text(true, event.time()) + " ";
  switch (event.event_case()) {
    case v1::Event::kJob:
      return text + "job " + event.job().job_id() + " " + summary_of(event.job()) + "\n";
    case v1::Event::kWorker: {
      const v1::Worker& worker = event.worker();
      text += "worker " + printable(worker.name()) + " " + v1::Worker::State_Name(worker.state());
      if (worker.draining()) text += " (draining)";
      return text + (worker.reason().empty() ? "" : ": " + printable(worker.reason())) + "\n";
    }
    case v1::Event::kDeletedJobId:
      return text + "job " + event.deleted_job_id() + " deleted\n";
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return text + "?\n";
}

absl::Status write_stdout(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EPIPE) return absl::CancelledError("");
    // INTERNAL, whatever it is: nothing that trying again would mend.
    if (count < 0) return absl::InternalError(std::string("standard output: ") + strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

int finish(const absl::Status& status) {
  if (status.ok()) return kExitOk;
  if (absl::IsCancelled(status) && status.message().empty()) return kExitPipeClosed;
  return report_error(status);
}

int print_text(const absl::StatusOr<std::string>& text) {
  return finish(text.ok() ? write_stdout(*text) : text.status());
}

}  // namespace clusterd
