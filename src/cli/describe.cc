#include "cli/describe.h"

#include <google/protobuf/util/time_util.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/table.h"
#include "clusterd/job_states.h"
#include "core/proto_time.h"
#include "core/signal_names.h"
#include "core/units.h"

namespace clusterd {
namespace {

using google::protobuf::Timestamp;
using google::protobuf::util::TimeUtil;
using Colour = Table::Colour;
using Counts = google::protobuf::Map<std::string, uint64_t>;

std::string command_of(const v1::JobSpec& spec) {
  if (!spec.handler().empty()) {
    std::string call = "handler " + printable(spec.handler());
    for (const std::string& argument : spec.args()) call += " " + printable(argument);
    return call;
  }
  std::string text = printable(spec.command());
  if (!spec.path().empty()) text += (text.empty() ? "" : " ") + printable(spec.path());
  for (const std::string& argument : spec.args()) text += " " + printable(argument);
  return text;
}

std::string exact_time(const Timestamp& time) {
  Timestamp seconds = time;
  seconds.set_nanos(0);
  return TimeUtil::ToString(seconds);
}

std::string ago(const Timestamp& time, const View& view) {
  const std::chrono::nanoseconds passed = view.now - from_proto(time);
  return in_short(std::max(passed, std::chrono::nanoseconds::zero())) + " ago";
}

// In a table.
std::string short_time(bool is_set, const Timestamp& time, const View& view) {
  if (!is_set) return "-";
  return view.terminal.columns ? ago(time, view) : exact_time(time);
}

// Where there is room for both.
std::string long_time(const Timestamp& time, const View& view) {
  return exact_time(time) + " (" + ago(time, view) + ")";
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : printable(text); }

std::string worker_of(const v1::Job& job, const View& view) {
  const auto found = view.names.find(job.worker_id());
  const bool has_name = found != view.names.end() && !found->second.empty();
  return or_dash(has_name ? found->second : job.worker_id());
}

// With how far it is, while it runs.
std::string state_of_row(const v1::Job& job) {
  std::string text(name_of(job.state()));
  if (job.state() != v1::Job::RUNNING || !job.has_progress()) return text;
  absl::StrAppend(&text, " ", job.progress().done());
  if (job.progress().total() > 0) absl::StrAppend(&text, "/", job.progress().total());
  return text;
}

Colour colour_of(v1::Job::State state) {
  if (state == v1::Job::SUCCEEDED) return Colour::kGood;
  if (state == v1::Job::STOPPED) return Colour::kFaint;
  if (is_final(state)) return Colour::kBad;
  return state == v1::Job::QUEUED ? Colour::kNone : Colour::kBusy;
}

// "ALIVE", "ALIVE (draining, quarantined)".
std::string state_of(const v1::Worker& worker) {
  std::string kept_away = worker.draining() ? "draining" : "";
  if (worker.has_quarantine()) kept_away += kept_away.empty() ? "quarantined" : ", quarantined";
  return v1::Worker::State_Name(worker.state()) + (kept_away.empty() ? "" : " (" + kept_away + ")");
}

Colour colour_of(const v1::Worker& worker) {
  if (worker.state() == v1::Worker::ALIVE) {
    if (worker.has_quarantine()) return Colour::kBad;
    return worker.draining() ? Colour::kBusy : Colour::kGood;
  }
  return worker.state() == v1::Worker::LEFT ? Colour::kFaint : Colour::kBad;
}

// "gpu 1/2": counted resources, what is used of them.
std::string units_of(const v1::Worker& worker) {
  std::string text;
  for (const auto& [name, count] : std::map<std::string, uint32_t>(
           worker.capacity().custom().begin(), worker.capacity().custom().end())) {
    const auto used = worker.in_use().custom().find(name);
    absl::StrAppend(&text, text.empty() ? "" : ",", name, " ",
                    used == worker.in_use().custom().end() ? 0 : used->second, "/", count);
  }
  return text;
}

void add_counts(Table& table, const std::string& what, const Counts& counts) {
  std::vector<std::pair<std::string, uint64_t>> sorted;
  for (const auto& [state, count] : counts) sorted.emplace_back(state, count);
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [state, count] : sorted) {
    table.add({what + " " + state, std::to_string(count)});
  }
}

void add_times(Table& table, const v1::Job& job, const View& view) {
  if (job.has_submit_time()) table.add({"submitted", long_time(job.submit_time(), view)});
  if (job.has_start_time()) table.add({"started", long_time(job.start_time(), view)});
  if (job.has_end_time()) table.add({"ended", long_time(job.end_time(), view)});
  if (job.has_start_time() && job.has_end_time()) {
    table.add({"ran for", in_short(from_proto(job.end_time()) - from_proto(job.start_time()))});
  }
  if (job.has_unreachable_since()) {
    table.add({"worker silent since", long_time(job.unreachable_since(), view)});
  }
}

std::string limits_text(const v1::Limits& limits) {
  std::string text;
  const auto add = [&text](bool is_set, const std::string& name, const std::string& value) {
    if (is_set) text += (text.empty() ? "" : ", ") + name + " " + value;
  };
  add(limits.has_memory_bytes(), "memory", format_size(limits.memory_bytes()));
  add(limits.has_cpus(), "cpus", absl::StrCat(limits.cpus()));
  add(limits.has_pids(), "pids", std::to_string(limits.pids()));
  add(limits.has_open_files(), "open files", std::to_string(limits.open_files()));
  add(limits.has_core_bytes(), "core", format_size(limits.core_bytes()));
  add(limits.has_nice(), "nice", std::to_string(limits.nice()));
  return text;
}

std::string rounded_size(uint64_t bytes) {
  return absl::StrFormat("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
}

// What it has used, as far as it is known.
std::string usage_text(const v1::JobEnd& end) {
  std::string text;
  const auto add = [&text](bool is_set, const std::string& part) {
    if (is_set) text += (text.empty() ? "" : ", ") + part;
  };
  const auto seconds = [](const google::protobuf::Duration& duration) {
    return absl::StrFormat("%.2f s", static_cast<double>(duration.seconds()) +
                                         static_cast<double>(duration.nanos()) / 1e9);
  };
  add(end.has_user_time(), seconds(end.user_time()) + " user");
  add(end.has_system_time(), seconds(end.system_time()) + " system");
  add(end.has_peak_memory_bytes(), rounded_size(end.peak_memory_bytes()) + " memory at most");
  add(end.has_max_rss_bytes(), rounded_size(end.max_rss_bytes()) + " largest process");
  return text;
}

// "exit code 0", "exit code 9: no room".
std::string archive_text(const v1::ArchiveResult& archive) {
  std::string text;
  if (archive.has_exit_code()) text = "exit code " + std::to_string(archive.exit_code());
  if (archive.has_signal()) text = "signal " + signal_name(archive.signal());
  if (archive.message().empty()) return text;
  return (text.empty() ? "" : text + ": ") + archive.message();
}

void add_end(Table& table, const v1::JobEnd& end) {
  if (const std::string used = usage_text(end); !used.empty()) table.add({"used", used});
  if (end.reason() == v1::JobEnd::EXITED && !end.message().empty()) {
    table.add({"note", end.message()});  // the state says other reasons'
  }
  if (end.has_archive()) table.add({"archive", archive_text(end.archive())});
}

}  // namespace

View view_of_stdout(WorkerNames names) {
  return {.terminal = terminal_of(STDOUT_FILENO, process_environment()),
          .now = std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now()),
          .names = std::move(names)};
}

std::string in_short(std::chrono::nanoseconds duration) {
  using std::chrono::seconds;
  constexpr std::array<std::pair<int64_t, const char*>, 4> kUnits = {
      {{86'400, "d"}, {3'600, "h"}, {60, "m"}, {1, "s"}}};
  const int64_t whole = std::chrono::duration_cast<seconds>(duration).count();
  for (size_t i = 0; i < kUnits.size(); ++i) {
    const auto [size, name] = kUnits[i];
    if (whole < size) continue;
    const bool is_coarse = size > 60 && whole % size >= kUnits[i + 1].first;
    const int64_t rest = is_coarse ? whole % size / kUnits[i + 1].first : 0;
    std::string text = absl::StrCat(whole / size, name);
    return rest == 0 ? text : absl::StrCat(text, " ", rest, kUnits[i + 1].second);
  }
  return "0s";
}

std::string progress_of(const v1::Progress& progress) {
  std::string text = std::to_string(progress.done());
  if (progress.total() > 0) absl::StrAppend(&text, " of ", progress.total());
  return progress.message().empty() ? text : text + ": " + printable(progress.message());
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

std::string describe_job(const v1::Job& job, const View& view) {
  Table table;
  table.add({"job_id", job.job_id()});
  if (!job.spec().name().empty()) table.add({"name", job.spec().name()});
  table.add({"state", {summary_of(job), colour_of(job.state())}});
  table.add({"command", command_of(job.spec())});
  const std::string worker = worker_of(job, view);
  const bool has_name = worker != or_dash(job.worker_id());
  table.add({"worker", has_name ? worker + " (" + job.worker_id() + ")" : worker});
  if (const std::string limits = limits_text(job.spec().limits()); !limits.empty()) {
    table.add({"limits", limits});
  }
  table.add({"attempt", std::to_string(job.attempt())});
  add_times(table, job, view);
  if (job.has_progress()) table.add({"progress", progress_of(job.progress())});
  if (job.suspended()) table.add({"suspended", "yes"});
  add_counts(table, "tasks", job.task_counts());
  if (job.has_stop_requested()) {
    const v1::StopRequest& stop = job.stop_requested();
    table.add({"stop requested", long_time(stop.when(), view) +
                                     (stop.who().empty() ? "" : " by " + stop.who()) +
                                     (stop.reason().empty() ? "" : ": " + stop.reason())});
  }
  add_end(table, job.end());
  return table.text({.columns = std::nullopt, .colours = view.terminal.colours});
}

std::string describe_jobs(const std::vector<v1::Job>& jobs, const View& view) {
  Table table;
  table.add({"JOB_ID", "STATE", "WORKER", "SUBMITTED", "NAME", "COMMAND"});
  for (const v1::Job& job : jobs) {
    table.add({job.job_id(),
               {state_of_row(job), colour_of(job.state())},
               worker_of(job, view),
               short_time(job.has_submit_time(), job.submit_time(), view),
               or_dash(job.spec().name()),
               command_of(job.spec())});
  }
  return table.text(view.terminal);
}

std::string describe_workers(const v1::ListWorkersResponse& workers, const View& view) {
  // Columns that most clusters have nothing for.
  bool any_units = false;
  bool any_taints = false;
  for (const v1::Worker& worker : workers.workers()) {
    any_units = any_units || !worker.capacity().custom().empty();
    any_taints = any_taints || !worker.taints().empty();
  }
  Table table;
  std::vector<Table::Cell> head = {"NAME", "STATE", "JOBS", "SLOTS"};
  if (any_units) head.emplace_back("RESOURCES");
  for (const char* name : {"ADDRESS", "LAST_SEEN", "VERSION", "LABELS"}) head.emplace_back(name);
  if (any_taints) head.emplace_back("TAINTS");
  head.emplace_back("WORKER_ID");
  table.add(std::move(head));
  for (const v1::Worker& worker : workers.workers()) {
    const std::map<std::string, std::string> labels(worker.labels().begin(), worker.labels().end());
    const std::string alone = worker.in_use().exclusive() ? " (exclusive)" : "";
    std::vector<Table::Cell> row = {
        or_dash(worker.name()),
        {state_of(worker), colour_of(worker)},
        std::to_string(worker.jobs()),
        absl::StrCat(worker.in_use().slots(), "/", worker.capacity().slots(), alone)};
    if (any_units) row.emplace_back(or_dash(units_of(worker)));
    row.emplace_back(or_dash(worker.address()));
    row.emplace_back(short_time(worker.has_last_seen(), worker.last_seen(), view));
    row.emplace_back(or_dash(worker.version()));
    row.emplace_back(or_dash(absl::StrJoin(labels, ",", absl::PairFormatter("="))));
    if (any_taints) row.emplace_back(or_dash(absl::StrJoin(worker.taints(), ",")));
    row.emplace_back(worker.worker_id());
    table.add(std::move(row));
  }
  return table.text(view.terminal);
}

std::string describe_queues(const v1::ListQueuesResponse& queues, const View& view) {
  Table table;
  table.add({"NAME", "RUNNING", "SLOTS", "QUEUED", "WEIGHT", "STATE"});
  const auto with_cap = [](uint64_t count, uint64_t most) {
    return most == 0 ? std::to_string(count) : absl::StrCat(count, "/", most);
  };
  for (const v1::Queue& queue : queues.queues()) {
    const std::string why = queue.reason().empty() ? "" : ": " + printable(queue.reason());
    table.add({or_dash(queue.name()),
               with_cap(queue.running(), queue.max_running()),
               std::to_string(queue.running_slots()),
               with_cap(queue.queued(), queue.max_queued()),
               std::to_string(queue.weight()),
               {queue.paused() ? "paused" + why : "open",
                queue.paused() ? Colour::kBusy : Colour::kGood}});
  }
  return table.text(view.terminal);
}

std::string describe_labels(const v1::ListWorkersResponse& workers, const View& view) {
  std::map<std::string, std::vector<std::string>> names;  // by label
  for (const v1::Worker& worker : workers.workers()) {
    for (const auto& [name, value] : worker.labels()) {
      names[absl::StrCat(name, "=", value)].push_back(worker.name());
    }
  }
  Table table;
  table.add({"LABEL", "WORKERS"});
  for (const auto& [label, holders] : names) table.add({label, absl::StrJoin(holders, ",")});
  return table.text(view.terminal);
}

std::string describe_scripts(const v1::ListScriptsResponse& scripts, const View& view) {
  Table table;
  table.add({"PATH", "SIZE", "CHANGED", "EXECUTABLE"});
  for (const v1::Script& script : scripts.scripts()) {
    table.add({script.path(), std::to_string(script.size_bytes()),
               short_time(script.has_modify_time(), script.modify_time(), view),
               script.executable() ? "yes" : "no"});
  }
  return table.text(view.terminal);
}

std::string describe_cluster(const v1::Cluster& cluster, const View& view) {
  Table table;
  table.add({"leader", or_dash(cluster.leader())});
  table.add({"version", or_dash(cluster.version())});
  table.add({"epoch", std::to_string(cluster.epoch())});
  table.add({"since", cluster.has_since() ? long_time(cluster.since(), view) : "-"});
  table.add({"slots", absl::StrCat(cluster.in_use().slots(), " of ", cluster.capacity().slots(),
                                   " in use")});
  add_counts(table, "workers", cluster.worker_counts());
  add_counts(table, "jobs", cluster.job_counts());
  return table.text(view.terminal);
}

std::string describe_explanation(const v1::ExplainJobResponse& answer, const View& view) {
  std::string text = answer.job_id() + " " + std::string(name_of(answer.state())) + ": " +
                     printable(answer.summary()) + "\n";
  if (answer.jobs_ahead() > 0) {
    text += std::to_string(answer.jobs_ahead()) + " jobs are before it\n";
  }
  Table table;
  for (const auto& worker : answer.workers()) {
    table.add({worker.name(),
               {worker.reasons().empty() ? "fits" : absl::StrJoin(worker.reasons(), "; "),
                worker.fits() ? Colour::kGood : Colour::kNone}});
  }
  return text + table.text({.columns = std::nullopt, .colours = view.terminal.colours});
}

std::string describe_event(const v1::Event& event) {
  std::string text =
      std::to_string(event.seq()) + " " + (event.has_time() ? exact_time(event.time()) : "-") + " ";
  switch (event.event_case()) {
    case v1::Event::kJob:
      return text + "job " + event.job().job_id() + " " + summary_of(event.job()) + "\n";
    case v1::Event::kWorker: {
      const v1::Worker& worker = event.worker();
      text += "worker " + printable(worker.name()) + " " + state_of(worker);
      if (worker.has_quarantine() && worker.reason().empty()) {
        return text + ": " + printable(worker.quarantine().reason()) + "\n";
      }
      return text + (worker.reason().empty() ? "" : ": " + printable(worker.reason())) + "\n";
    }
    case v1::Event::kDeletedJobId:
      return text + "job " + event.deleted_job_id() + " deleted\n";
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return text + "?\n";
}

}  // namespace clusterd
