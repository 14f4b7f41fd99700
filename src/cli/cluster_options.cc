#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command_families.h"
#include "cli/number_check.h"

namespace clusterd {
namespace {

template <typename T>
std::shared_ptr<T> add(CLI::App& cluster, Chosen& chosen, const std::string& name,
                       const std::string& text, const std::string& json) {
  CLI::App& app = *cluster.add_subcommand(name, text);
  auto command = std::make_shared<T>();  // shared by the options that fill it and the callback
  app.callback([command, &chosen] { chosen = *command; });
  add_client_options(app, command->client);
  app.add_flag("--json", command->json, json);
  return command;
}

void add_worker(CLI::App& app, std::string& worker) {
  app.add_option("WORKER", worker, "By id or name")->required();
}

void add_workers(CLI::App& cluster, Chosen& chosen, const std::string& document) {
  const auto workers =
      add<ClusterWorkersCommand>(cluster, chosen, "workers", "All workers.", document);
  CLI::App& app = *cluster.get_subcommand("workers");
  auto* label =
      app.add_option("--label", workers->label,
                     "Those that meet it, as for --require; alone: which labels there are")
          ->type_name("[EXPR]")
          ->expected(0, 1);
  app.callback([workers, label, &chosen] {
    workers->by_label = label->count() > 0;
    chosen = *workers;
  });
}

void add_scripts(CLI::App& cluster, Chosen& chosen, const std::string& document) {
  const auto scripts = add<ClusterScriptsCommand>(
      cluster, chosen, "scripts", "The scripts that may be run on a worker.", document);
  CLI::App& app = *cluster.get_subcommand("scripts");
  add_worker(app, scripts->worker);
  app.add_flag("-q,--quiet", scripts->quiet, "Print paths only")->excludes("--json");
}

}  // namespace

void add_cluster_commands(CLI::App& app, Chosen& chosen) {
  const std::string document = "Print one JSON document";
  CLI::App& cluster = *app.add_subcommand("cluster", "Show and steer the cluster.");
  cluster.require_subcommand(1);
  add<ClusterStatusCommand>(cluster, chosen, "status", "Counts and the leader.", document);
  add_workers(cluster, chosen, document);
  add_scripts(cluster, chosen, document);

  const auto drain =
      add<ClusterDrainCommand>(cluster, chosen, "drain", "Send a worker no new jobs.", document);
  CLI::App& drain_app = *cluster.get_subcommand("drain");
  add_worker(drain_app, drain->worker);
  drain_app.add_option("--deadline", drain->deadline, "Stop what still runs after this long")
      ->type_name("TIME");
  drain_app.add_option("--reason", drain->reason, "Why, for the record");

  const auto resume = add<ClusterResumeCommand>(cluster, chosen, "resume",
                                                "Send a drained worker jobs again.", document);
  add_worker(*cluster.get_subcommand("resume"), resume->worker);

  const auto remove = add<ClusterRemoveCommand>(cluster, chosen, "remove",
                                                "Forget a worker that is away.", document);
  add_worker(*cluster.get_subcommand("remove"), remove->worker);

  const auto events = add<ClusterEventsCommand>(
      cluster, chosen, "events", "Print what happens until Ctrl-C.", "Print JSON lines");
  cluster.get_subcommand("events")
      ->add_option("--since", events->since, "Begin after this event [what happens from now on]")
      ->type_name("N")
      ->check(check_whole_number);
}

}  // namespace clusterd
