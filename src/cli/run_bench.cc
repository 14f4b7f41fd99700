#include "cli/run_bench.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/run_benches.h"
#include "cli/caller_session.h"
#include "cli/exit_codes.h"
#include "cli/local_cluster.h"
#include "cli/print.h"
#include "cli/table.h"
#include "core/address.h"
#include "core/units.h"

namespace clusterd {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLeastOutput = 64ULL << 10;  // the least that a worker can be told to keep
constexpr uint64_t kMostOutput = 1ULL << 40;
constexpr uint64_t kStandaloneOutput = 1ULL << 30;
constexpr uint64_t kOutputOfCluster = 256ULL << 20;  // what a worker keeps unless it is told

absl::StatusOr<bench::BenchPlan> plan_of(const BenchCommand& command) {
  bench::BenchPlan plan;
  plan.only = {command.only.begin(), command.only.end()};
  plan.jobs = command.jobs;
  if (!command.connections.empty()) plan.connections = command.connections;
  if (!command.followers.empty()) plan.followers = command.followers;
  plan.output_bytes = command.standalone ? kStandaloneOutput : kOutputOfCluster;
  if (command.output_bytes.empty()) return plan;
  const auto size = parse_size(command.output_bytes);
  if (!size.ok() || *size < kLeastOutput || *size > kMostOutput) {
    return absl::InvalidArgumentError("--output-bytes: \"" + command.output_bytes +
                                      "\" is not a size from 64KiB to 1TiB as 512MiB");
  }
  plan.output_bytes = *size;
  return plan;
}

// One line of a terminal, which says what is going on.
class ProgressLine {
 public:
  ProgressLine() : is_shown_(terminal_of(STDERR_FILENO, process_environment()).columns) {}
  ~ProgressLine() { show(""); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const std::string& text) const {
    if (is_shown_) std::fprintf(stderr, "\r\x1b[K%s", text.c_str());
  }

 private:
  const bool is_shown_;
};

std::string text_of(const bench::BenchReport& report) {
  Table table;
  for (const auto& texts : bench::rows_of(report)) {
    table.add(Table::Row(texts.begin(), texts.end()));
  }
  return table.text(terminal_of(STDOUT_FILENO, process_environment()));
}

// What was measured before an error is shown to people, and to no program.
int print(const BenchCommand& command, const bench::BenchOutcome& outcome) {
  const bench::BenchReport& report = outcome.report;
  if (command.json) {
    if (!outcome.status.ok()) return report_error(outcome.status);
    return print_text(bench::to_json(report) + "\n");
  }
  for (const bench::BenchResult& result : report.results) {
    if (!result.skipped.empty()) tell(printable(result.name + " is skipped: " + result.skipped));
  }
  const int code = report.results.empty() ? kExitOk : print_text(text_of(report));
  return outcome.status.ok() ? code : report_error(outcome.status);
}

absl::Status write_scripts(const std::string& folder) {
  std::error_code error;
  fs::create_directory(folder, error);
  if (error) return absl::InternalError(folder + ": " + error.message());
  for (const bench::BenchScript& script : bench::standalone_scripts()) {
    std::ofstream file(folder + "/" + std::string(script.name));
    file << script.content;
    file.close();
    if (!file) return absl::InternalError("a script cannot be written to " + folder);
  }
  return absl::OkStatus();
}

// Measures on a thread of its own while this one looks after signals and daemons.
bench::BenchOutcome measure(LocalCluster& cluster, const bench::BenchPlan& plan) {
  bench::BenchTarget target;
  target.grpc.addr = {cluster.grpc_addr()};
  target.http.addr = cluster.http_addr();
  target.is_standalone = true;
  std::stop_source source;
  const bench::StopFd stop(source.get_token());
  const ProgressLine progress;
  const int done = eventfd(0, EFD_CLOEXEC);
  bench::BenchOutcome outcome;
  std::thread thread([&] {
    outcome = run_benches(target, plan, stop, stop,
                          [&progress](const std::string& text) { progress.show(text); });
    eventfd_write(done, 1);
  });
  const absl::Status status = cluster.wait_for(done);
  source.request_stop();
  thread.join();
  close(done);
  // What it failed with then is no more than a consequence.
  if (!status.ok()) outcome.status = status;
  return outcome;
}

int run_standalone(const BenchCommand& command, const bench::BenchPlan& plan) {
  DevCommand dev{.slots = command.slots,
                 .allowed_programs = {"true"},
                 .http_port = 0,
                 .grpc_port = 0,
                 .worker_port = 0,
                 .max_output_bytes = plan.output_bytes,
                 .log_level = "error"};
  LocalCluster cluster(dev, "bench");
  absl::Status status = cluster.begin();
  dev.scripts_dir = cluster.folder() + "/scripts";
  if (status.ok()) status = write_scripts(dev.scripts_dir);
  if (status.ok()) status = cluster.start();
  bench::BenchOutcome outcome{.report = {}, .status = status};
  if (status.ok()) outcome = measure(cluster, plan);
  cluster.end();
  return print(command, outcome);
}

// The leader's, as a caller of `grpc_addr` reaches it.
absl::StatusOr<std::string> http_address(const v1::Cluster& cluster, const std::string& grpc_addr,
                                         bool use_tls) {
  std::string text;
  for (const v1::SchedulerMember& member : cluster.schedulers()) {
    if (member.leader() || text.empty()) text = member.http_address();
  }
  auto address = parse_address(text);
  if (!address.ok()) {
    return absl::FailedPreconditionError(
        "the scheduler does not say where its HTTP API is; give "
        "--http HOST:PORT");
  }
  const bool is_every_interface =
      address->host.empty() || address->host == "0.0.0.0" || address->host == "::";
  if (is_every_interface) {
    const auto grpc = parse_address(grpc_addr);
    if (grpc.ok()) address->host = grpc->host;
  }
  const bool is_secure = use_tls && !is_loopback(address->host);
  return (is_secure ? "https://" : "") + format_address(*address);
}

absl::StatusOr<bench::BenchTarget> find_target(const BenchCommand& command,
                                               const std::stop_token& stop) {
  const auto config = resolve_client_config(command.client, process_environment());
  if (!config.ok()) return config.status();
  std::string http = command.http;
  if (http.empty()) {
    const auto client = connect(command.client);
    if (!client.ok()) return client.status();
    const auto cluster = (*client)->cluster(stop);
    if (!cluster.ok()) return cluster.status();
    const auto found = http_address(*cluster, config->addr.front(), !config->ca_file.empty());
    if (!found.ok()) return found.status();
    http = *found;
  }
  const auto endpoint = bench::HttpEndpoint::parse(http, *config);
  if (!endpoint.ok()) {
    return absl::Status(endpoint.status().code(),
                        absl::StrCat("--http: ", endpoint.status().message()));
  }
  return bench::BenchTarget{.grpc = *config, .http = *endpoint};
}

int run_on_cluster(const BenchCommand& command, const bench::BenchPlan& plan) {
  // The first signal ends the measurements, the second one the removal of their jobs.
  const Interrupt interrupt(2);
  const auto target = find_target(command, interrupt.token());
  if (!target.ok()) return report_error(target.status());
  const bench::StopFd stop(interrupt.token());
  const bench::StopFd cleanup_stop(interrupt.token(1));
  bench::BenchOutcome outcome;
  {
    const ProgressLine progress;
    outcome = run_benches(*target, plan, stop, cleanup_stop,
                          [&progress](const std::string& text) { progress.show(text); });
  }
  return print(command, outcome);
}

}  // namespace

int run(const BenchCommand& command) {
  const auto plan = plan_of(command);
  if (!plan.ok()) return report_error(plan.status());
  return command.standalone ? run_standalone(command, *plan) : run_on_cluster(command, *plan);
}

}  // namespace clusterd
