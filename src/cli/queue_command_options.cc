#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command_families.h"
#include "cli/number_check.h"

namespace clusterd {
namespace {

template <typename T>
std::pair<CLI::App*, std::shared_ptr<T>> add(CLI::App& family, Chosen& chosen,
                                             const std::string& name, const std::string& text) {
  CLI::App& app = *family.add_subcommand(name, text);
  auto command = std::make_shared<T>();  // shared by the options that fill it and the callback
  app.callback([command, &chosen] { chosen = *command; });
  add_client_options(app, command->client);
  if constexpr (requires { command->json; }) {
    app.add_flag("--json", command->json, "Print one JSON document");
  }
  if constexpr (requires { command->queue; }) {
    app.add_option("QUEUE", command->queue, "Its name")->required();
  }
  return {&app, command};
}

}  // namespace

void add_queue_commands(CLI::App& app, Chosen& chosen) {
  CLI::App& family = *app.add_subcommand("queue", "Show and steer named queues.");
  family.require_subcommand(1);
  (void)add<QueueListCommand>(family, chosen, "list", "All queues that were set up or hold jobs.");
  (void)add<QueueShowCommand>(family, chosen, "show", "One queue.");
  const auto [set, wanted] = add<QueueSetCommand>(
      family, chosen, "set", "Set a queue up or change it; what is not given stays.");
  set->add_option("--max-running", wanted->max_running, "Jobs of it at one time; 0: no cap")
      ->check(CLI::Range(0U, 4'000'000'000U));
  set->add_option("--max-queued", wanted->max_queued, "Jobs of it that may wait; 0: no cap")
      ->check(check_whole_number);
  set->add_option("--weight", wanted->weight, "Its share of the slots against other queues [1]")
      ->check(CLI::Range(1, 1'000));
  const auto [pause, paused] = add<QueuePauseCommand>(
      family, chosen, "pause", "Start nothing of a queue; what runs goes on.");
  pause->add_option("--reason", paused->reason, "Why, for the record");
  (void)add<QueueResumeCommand>(family, chosen, "resume", "Start jobs of a queue again.");
  (void)add<QueueDeleteCommand>(family, chosen, "delete",
                                "Forget what was set up for a queue that holds no jobs.");
}

}  // namespace clusterd
