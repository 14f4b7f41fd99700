#include "cli/run_cluster.h"

#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "cli/ask_and_print.h"
#include "cli/caller_session.h"
#include "cli/describe.h"
#include "cli/exit_codes.h"
#include "cli/job_spec_builder.h"
#include "cli/print.h"
#include "cli/table.h"
#include "core/label_expression.h"
#include "core/proto_time.h"

namespace clusterd {
namespace {

std::string describe_worker(const v1::Worker& worker, const View& view) {
  v1::ListWorkersResponse one;
  *one.add_workers() = worker;
  return describe_workers(one, view);
}

// INVALID_ARGUMENT: the expression is none.
absl::StatusOr<std::optional<LabelExpression>> wanted_label(const ClusterWorkersCommand& command) {
  if (command.label.empty()) return std::nullopt;
  auto expression = LabelExpression::parse(command.label);
  if (expression.ok()) return *std::move(expression);
  return absl::InvalidArgumentError("--label: " + std::string(expression.status().message()));
}

v1::ListWorkersResponse only_matching(const v1::ListWorkersResponse& workers,
                                      const LabelExpression& expression) {
  v1::ListWorkersResponse kept;
  for (const v1::Worker& worker : workers.workers()) {
    if (expression.matches(worker.labels())) *kept.add_workers() = worker;
  }
  return kept;
}

// Of all pages.
absl::StatusOr<v1::ListScriptsResponse> all_scripts(SchedulerClient& client,
                                                    const std::string& worker,
                                                    const std::stop_token& stop) {
  constexpr uint32_t kPage = 1'000;
  v1::ListScriptsRequest request;
  request.set_worker_id(worker);
  request.set_page_size(kPage);
  v1::ListScriptsResponse all;
  while (true) {
    auto page = client.list_scripts(request, stop);
    if (!page.ok()) return page;
    all.mutable_scripts()->MergeFrom(page->scripts());
    if (page->next_page_token().empty()) return all;
    request.set_page_token(page->next_page_token());
  }
}

std::string paths_of(const v1::ListScriptsResponse& scripts) {
  std::string text;
  for (const v1::Script& script : scripts.scripts()) text += printable(script.path()) + "\n";
  return text;
}

}  // namespace

int run(const ClusterStatusCommand& command) {
  return ask_and_print(
      command.client, command.json,
      [](SchedulerClient& client, const std::stop_token& stop) { return client.cluster(stop); },
      describe_cluster);
}

int run(const ClusterWorkersCommand& command) {
  const auto wanted = wanted_label(command);
  if (!wanted.ok()) return report_error(wanted.status());
  return ask_and_print(
      command.client, command.json,
      [&wanted](SchedulerClient& client, const std::stop_token& stop) {
        auto workers = client.list_workers(stop);
        if (workers.ok() && *wanted) *workers = only_matching(*workers, **wanted);
        return workers;
      },
      command.by_label && !*wanted ? describe_labels : describe_workers);
}

int run(const ClusterScriptsCommand& command) {
  const auto describe = [&command](const v1::ListScriptsResponse& scripts, const View& view) {
    return command.quiet ? paths_of(scripts) : describe_scripts(scripts, view);
  };
  return ask_and_print(
      command.client, command.json,
      [&command](SchedulerClient& client, const std::stop_token& stop) {
        return all_scripts(client, command.worker, stop);
      },
      describe);
}

int run(const ClusterDrainCommand& command) {
  v1::DrainWorkerRequest request;
  request.set_worker_id(command.worker);
  request.set_reason(command.reason);
  if (!command.deadline.empty()) {
    const auto deadline = parse_duration_option("--deadline", command.deadline);
    if (!deadline.ok()) return report_error(deadline.status());
    *request.mutable_deadline() = to_proto(*deadline);
  }
  return ask_and_print(
      command.client, command.json,
      [&request](SchedulerClient& client, const std::stop_token& stop) {
        return client.drain(request, stop);
      },
      describe_worker);
}

int run(const ClusterResumeCommand& command) {
  v1::ResumeWorkerRequest request;
  request.set_worker_id(command.worker);
  return ask_and_print(
      command.client, command.json,
      [&request](SchedulerClient& client, const std::stop_token& stop) {
        return client.resume(request, stop);
      },
      describe_worker);
}

int run(const ClusterRemoveCommand& command) {
  v1::RemoveWorkerRequest request;
  request.set_worker_id(command.worker);
  return ask_and_print(
      command.client, command.json,
      [&request](SchedulerClient& client, const std::stop_token& stop) {
        return client.remove(request, stop);
      },
      describe_worker);
}

int run(const ClusterEventsCommand& command) {
  CallerSession session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return report_error(status);
  }
  const auto print = [&command](const v1::Event& event) -> absl::Status {
    if (!command.json) return write_stdout(describe_event(event));
    auto text = to_json(event);
    if (!text.ok()) return text.status();
    return write_stdout(*text + "\n");
  };
  const absl::Status status =
      session.client->watch_events(command.since, print, tell, session.token());
  return session.interrupt.happened() ? kExitOk : finish(status);
}

}  // namespace clusterd
