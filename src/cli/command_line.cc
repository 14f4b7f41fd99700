#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <memory>
#include <sstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "cli/command_families.h"
#include "cli/hints.h"
#include "cli/near_word.h"
#include "core/utf8.h"

namespace clusterd {
namespace {

constexpr char kComplete[] = "__complete";  // what the scripts of `completion` call

template <typename T>
std::shared_ptr<T> choose(CLI::App& app, Chosen& chosen) {
  auto command = std::make_shared<T>();  // shared by the options that fill it and the callback
  app.callback([command, &chosen] { chosen = *command; });
  return command;
}

void add_dev_command(CLI::App& app, Chosen& chosen) {
  CLI::App& dev = *app.add_subcommand(
      "dev", "Run a scheduler and a worker on loopback until Ctrl-C; nothing of it is kept.");
  const auto command = choose<DevCommand>(dev, chosen);
  dev.add_option("--scripts", command->scripts_dir, "Folder of the scripts that jobs may run")
      ->type_name("DIR")
      ->capture_default_str();
  dev.add_option("--slots", command->slots, "Jobs at one time [processors]")
      ->check(CLI::Range(1, 1'000'000));
  dev.add_option("--allow", command->allowed_programs,
                 "A program that jobs may run without a script (repeatable)")
      ->type_name("PROGRAM")
      ->allow_extra_args(false);
  dev.add_option("--http-port", command->http_port, "Port of the HTTP API; 0: any free one")
      ->check(CLI::Range(0, 65'535))
      ->capture_default_str();
  dev.add_option("--grpc-port", command->grpc_port, "Port of the scheduler; 0: any free one")
      ->check(CLI::Range(0, 65'535))
      ->capture_default_str();
  dev.add_option("--worker-port", command->worker_port, "Port of the worker; 0: any free one")
      ->check(CLI::Range(0, 65'535))
      ->capture_default_str();
}

template <typename T>
std::pair<CLI::App*, std::shared_ptr<T>> add_daemon(CLI::App& app, Chosen& chosen,
                                                    const std::string& name,
                                                    const std::string& text) {
  CLI::App& daemon = *app.add_subcommand(name, text);
  const auto command = choose<T>(daemon, chosen);
  daemon.add_option("--config", command->config_file, "Configuration file (TOML)")
      ->type_name("FILE")
      ->required();
  daemon.add_flag("--check", command->check, "Check the configuration and exit");
  daemon
      .add_option("--port-file", command->port_file,
                  "Write the addresses there once everything listens")
      ->type_name("FILE");
  return {&daemon, command};
}

void add_worker_command(CLI::App& app, Chosen& chosen) {
  const auto [worker, command] = add_daemon<WorkerCommand>(app, chosen, "worker", "Run a worker.");
  CLI::Option* upgrade = worker->add_flag(
      "--upgrade", command->upgrade,
      "Have the worker that runs with this configuration become the executable and the "
      "configuration that are on the disk, and wait for it; jobs go on");
  CLI::Option* drain = worker->add_flag(
      "--drain", command->drain,
      "Have that worker take no more jobs and end when its jobs have ended, and wait for it");
  CLI::Option* stop = worker->add_flag("--stop", command->stop,
                                       "Have that worker stop its jobs and end, and wait for it");
  upgrade->excludes(drain)->excludes(stop);
  drain->excludes(stop);
}

void add_shell_commands(CLI::App& app, Chosen& chosen) {
  CLI::App& completion = *app.add_subcommand(
      "completion",
      "Print what makes a shell complete command lines, ids of jobs and workers too.");
  const auto shell = choose<CompletionCommand>(completion, chosen);
  completion.add_option("SHELL", shell->shell, "source <(clusterd completion bash)")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->required();
  CLI::App& manual = *app.add_subcommand("manual", "Write the pages of the manual.");
  manual.group("");  // for the build
  const auto pages = choose<ManualCommand>(manual, chosen);
  manual.add_option("DIR", pages->dir, "Folder to write to")->required();
}

// Those that --help shows.
std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_group().empty()) names.push_back(sub->get_name());
  }
  return names;
}

bool has_command(const CLI::App& app, const std::string& name) {
  const auto found =
      app.get_subcommands([&name](const CLI::App* sub) { return sub->get_name() == name; });
  return !found.empty();
}

// What is not the name of a file is text.
void check_texts(CLI::App& app) {
  for (CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
    const std::string kind =
        option->get_positional() ? option->get_name() : option->get_type_name();
    if (kind == "FILE" || kind == "DIR" || kind == "CERTIFICATE") continue;
    if (option->get_items_expected_max() == 0) continue;
    option->check([](const std::string& value) {
      return std::string(is_valid_utf8(value) ? "" : "is not UTF-8");
    });
  }
  for (CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) check_texts(*sub);
}

// The day of the build; one that is to be reproduced says which.
std::string date_of_manual() {
  std::time_t now = std::time(nullptr);
  const auto given = process_environment()("SOURCE_DATE_EPOCH");
  int64_t seconds = 0;
  if (given && absl::SimpleAtoi(*given, &seconds)) now = seconds;
  return absl::FormatTime("%Y-%m-%d", absl::FromTimeT(now), absl::UTCTimeZone());
}

// The words that choose a command: "clusterd job start".
std::string chosen_command(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* at = &app;
  std::string text = app.get_name();
  for (const std::string& word : arguments) {
    if (!has_command(*at, word)) break;
    at = at->get_subcommand(word);
    text += " " + word;
  }
  return text;
}

// INVALID_ARGUMENT where the words that choose a command choose none, with the nearest one.
absl::Status check_choice(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* at = &app;
  for (const std::string& word : arguments) {
    const std::vector<std::string> known = commands_of(*at);
    if (known.empty()) return absl::OkStatus();
    const std::string where = at == &app ? "" : at->get_name() + ": ";
    if (word.starts_with('-')) {
      if (at->get_option_no_throw(word.substr(0, word.find('='))) != nullptr) break;
      return absl::InvalidArgumentError(where + "\"" + word + "\" is no option here");
    }
    if (!has_command(*at, word)) {
      const auto near = near_word(word, known);
      return absl::InvalidArgumentError(
          where + "\"" + word + "\" is no command; " +
          (near ? "did you mean \"" + *near + "\"?" : "there are " + absl::StrJoin(known, ", ")));
    }
    at = at->get_subcommand(word);
  }
  return absl::OkStatus();
}

absl::StatusOr<Command> to_result(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out;
  std::ostringstream ignored;
  if (app.exit(error, out, ignored) == 0) return HelpCommand{out.str()};
  return absl::InvalidArgumentError(error.what());
}

absl::StatusOr<Command> parse_words(CLI::App& app, const Chosen& chosen,
                                    std::vector<std::string> arguments) {
  if (const absl::Status status = check_choice(app, arguments); !status.ok()) return status;
  std::vector<std::string> target = take_target(app, arguments);
  try {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the end
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return to_result(app, error);
  }
  if (app.count("--version") > 0) return VersionCommand();
  if (!chosen) return absl::InvalidArgumentError("a command is missing");
  Command command = *chosen;
  if (auto* manual = std::get_if<ManualCommand>(&command)) {
    manual->pages = manual_pages(app, date_of_manual());
  }
  auto* run = std::get_if<RunCommand>(&command);
  auto* create = std::get_if<ScheduleCreateCommand>(&command);
  auto* start = run != nullptr      ? &run->start
                : create != nullptr ? &create->start
                                    : std::get_if<JobStartCommand>(&command);
  if (start != nullptr) {
    const absl::Status status = set_target(*start, std::move(target));
    if (!status.ok()) return status;
  }
  return command;
}

}  // namespace

void add_daemon_commands(CLI::App& app, Chosen& chosen) {
  (void)add_daemon<SchedulerCommand>(app, chosen, "scheduler", "Run a scheduler.");
  add_worker_command(app, chosen);
  add_dev_command(app, chosen);
}

void add_client_options(CLI::App& app, ClientFlags& flags) {
  app.add_option("--addr", flags.addr, "Scheduler [CLUSTERD_ADDR, else 127.0.0.1:50000]")
      ->type_name("HOST:PORT[,...]");
  app.add_option("--token", flags.token, "Bearer token [CLUSTERD_TOKEN]");
  app.add_option("--ca", flags.ca_file, "Authority of its certificate [CLUSTERD_CA]")
      ->type_name("FILE");
  app.add_option("--cert", flags.crt_file, "Our certificate [CLUSTERD_CERT]")->type_name("FILE");
  app.add_option("--key", flags.key_file, "Our private key [CLUSTERD_KEY]")->type_name("FILE");
}

void add_all_commands(CLI::App& app, Chosen& chosen) {
  app.add_flag("--version")->description("Print the version and exit");
  app.require_subcommand(0, 1);
  add_daemon_commands(app, chosen);
  add_run_command(app, chosen);
  add_job_commands(app, chosen);
  add_cluster_commands(app, chosen);
  add_queue_commands(app, chosen);
  add_schedule_commands(app, chosen);
  add_token_commands(app, chosen);
  add_tls_commands(app, chosen);
  add_store_commands(app, chosen);
  add_doctor_command(app, chosen);
  add_bench_command(app, chosen);
  add_shell_commands(app, chosen);
  check_texts(app);
}

absl::StatusOr<Command> parse_command_line(std::vector<std::string> arguments) {
  CLI::App app("Runs scripts and programs on many machines, and brings back what they print.",
               "clusterd");
  Chosen chosen;
  add_all_commands(app, chosen);
  if (!arguments.empty() && arguments.front() == kComplete) {
    arguments.erase(arguments.begin());
    return CompleteCommand{complete(app, arguments)};
  }
  const std::string command = chosen_command(app, arguments);
  auto parsed = parse_words(app, chosen, std::move(arguments));
  if (parsed.ok()) return parsed;
  return with_hint(parsed.status(), "see `" + command + " --help`");
}

}  // namespace clusterd
