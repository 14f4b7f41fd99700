#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "absl/status/status.h"
#include "cli/command_families.h"
#include "cli/limit_options.h"
#include "cli/number_check.h"

namespace clusterd {
namespace {

constexpr char kProgram[] = "--program";
constexpr char kHandler[] = "--handler";

template <typename T>
std::shared_ptr<T> add(CLI::App& job, Chosen& chosen, const std::string& name,
                       const std::string& text) {
  CLI::App& app = *job.add_subcommand(name, text);
  auto command = std::make_shared<T>();  // shared by the options that fill it and the callback
  app.callback([command, &chosen] { chosen = *command; });
  add_client_options(app, command->client);
  return command;
}

void add_job_id(CLI::App& app, std::string& job_id) {
  app.add_option("JOB", job_id, "Id, or a unique beginning of it; last; ARRAY.INDEX")->required();
}

void add_repeatable(CLI::App& app, const std::string& name, std::vector<std::string>& values,
                    const std::string& type, const std::string& text) {
  app.add_option(name, values, text)->type_name(type)->allow_extra_args(false);
}

// Instead of ids. The ids are not required then; who runs the command looks after that.
void add_group_options(CLI::App& app, std::vector<std::string>& job_ids, GroupFlags& flags) {
  app.add_option("JOB", job_ids, "As for query; ARRAY.1-10:2, all, failed");
  app.add_option("--name", flags.name, "Instead of JOB: all with this name");
  add_repeatable(app, "--label", flags.labels, "K[=V]",
                 "Instead of JOB: all with this label (repeatable)");
  app.add_option("--queue", flags.queue, "Instead of JOB: all of this queue")->type_name("NAME");
  app.add_option("--worker", flags.worker, "Instead of JOB: all of this worker, by id or name")
      ->type_name("WORKER");
  add_repeatable(app, "--state", flags.states, "STATE",
                 "With these: those in this state (repeatable)");
  app.add_flag("--dry-run", flags.dry_run, "With these: say which ones, and do nothing");
  app.add_flag("-q,--quiet", flags.quiet, "With these: print ids only");
}

void add_job_ids(CLI::App& app, std::vector<std::string>& job_ids) {
  app.add_option("JOB", job_ids, "As for query; ARRAY.1-10:2, all, failed")->required();
}

// What it gets of the worker's users and files.
void add_setting_options(CLI::App& app, JobStartCommand& command) {
  app.add_option("--umask", command.umask, "File mode creation mask, octal")->type_name("MASK");
  app.add_option("--run-as", command.run_as, "One of the worker's allowed users")
      ->type_name("USER");
  app.add_flag("--keep-scratch", command.keep_scratch, "Keep its scratch folder after the end");
}

// What take_target() takes before the rest is parsed; here for who reads the tree.
void add_target(CLI::App& app) {
  app.add_option_function<std::string>(
         kProgram, [](const std::string&) {},
         "Instead of PATH: one of the worker's allowed programs")
      ->type_name("NAME");
  app.add_option_function<std::string>(
         kHandler, [](const std::string&) {},
         "Instead of PATH: a function that a program's worker offers")
      ->type_name("NAME");
  app.add_option_function<std::string>(
      "PATH", [](const std::string&) {}, "The script, below the worker's scripts folder");
  app.add_option_function<std::vector<std::string>>(
      "ARGS", [](const std::vector<std::string>&) {},
      "Its arguments, or those of the program or handler");
  app.footer("Everything after PATH or NAME belongs to the job, options too.");
}

// What describes a job; `command` lives as long as `app`.
void add_spec_options(CLI::App& app, JobStartCommand* command) {
  app.add_option("--from-json", command->from_json,
                 "The job as a JSON document, as over HTTP; -: from here. Options go before it")
      ->type_name("FILE");
  app.add_option("--worker", command->worker, "Worker, by id or name [any]")->type_name("WORKER");
  app.add_option("--command", command->command, "Interpreter of the script")->type_name("NAME");
  app.add_flag("--upload", command->upload,
               "PATH is a file here, which goes along; the worker need not have it");
  app.add_option("--name", command->name, "A name for people");
  add_repeatable(app, "--env", command->env, "K=V|K",
                 "Environment variable; without a value, from here (repeatable)");
  app.add_option("--env-file", command->env_file, "File with a K=V in each line")
      ->type_name("FILE");
  app.add_option("--timeout", command->timeout, "Longest run (30s, 5m, 2h)")->type_name("TIME");
  app.add_option("--cwd", command->cwd, "Working folder below the scripts folder")
      ->type_name("FOLDER");
  auto* input = app.add_option("--stdin", command->stdin_path, "Standard input; -: from here")
                    ->type_name("FILE");
  app.add_option("--stdin-file", command->stdin_file,
                 "Standard input from a file below the scripts folder")
      ->type_name("PATH")
      ->excludes(input);
  add_setting_options(app, *command);
  app.add_option("--stop-signal", command->stop_signal, "Signal that asks it to end [TERM]")
      ->type_name("SIGNAL");
  app.add_option("--stop-grace", command->stop_grace, "Time between that signal and KILL")
      ->type_name("TIME");
  app.add_option("--priority", command->priority, "Higher goes first")
      ->check(CLI::Range(-1000, 1000));
  add_repeatable(app, "--label", command->labels, "K=V", "Label of the job (repeatable)");
  add_output_options(app, command->output);
  add_queue_options(app, command->queueing);
  add_limit_options(app, command->limits);
  app.add_option("--request-id", command->request_id, "Repeated, it is the same job")
      ->type_name("ID");
  add_target(app);
}

void add_start(CLI::App& job, Chosen& chosen) {
  const auto command = add<JobStartCommand>(
      job, chosen, "start", "Start a script, a program (--program) or a handler (--handler).");
  CLI::App& app = *job.get_subcommand("start");
  add_spec_options(app, command.get());
  auto* follow =
      app.add_flag("--follow", command->follow, "Print its output, then exit as the job did");
  auto* wait = app.add_flag("--wait", command->wait, "Wait for its end, then exit as the job did");
  app.add_flag("--progress", command->progress, "While it waits, say how far the tasks are")
      ->needs(wait);
  auto* json = app.add_flag("--json", command->json, "Print the job as JSON instead of its id");
  follow->excludes(wait)->excludes(json);
}

void add_stop_query_wait(CLI::App& job, Chosen& chosen) {
  const auto stop = add<JobStopCommand>(
      job, chosen, "stop", "Stop jobs and wait for their ends; of selected ones it does not wait.");
  CLI::App& stop_app = *job.get_subcommand("stop");
  add_group_options(stop_app, stop->job_ids, stop->group);
  stop_app.add_option("--reason", stop->reason, "Why, for the record");
  stop_app.add_flag("--json", stop->json, "Print the job as JSON");

  const auto query = add<JobQueryCommand>(job, chosen, "query", "Show a job.");
  CLI::App& query_app = *job.get_subcommand("query");
  add_job_id(query_app, query->job_id);
  query_app.add_flag("--json", query->json, "Print the job as JSON");

  const auto wait = add<JobWaitCommand>(
      job, chosen, "wait", "Wait for the ends of jobs, then exit as the first that failed.");
  CLI::App& wait_app = *job.get_subcommand("wait");
  add_job_ids(wait_app, wait->job_ids);
  wait_app.add_option("--timeout", wait->timeout, "Longest wait [none]")->type_name("TIME");
  wait_app.add_flag("--json", wait->json, "Print the job as JSON");
}

void add_logs(CLI::App& job, Chosen& chosen) {
  const auto command = add<JobLogsCommand>(job, chosen, "logs", "Print a job's output.");
  CLI::App& app = *job.get_subcommand("logs");
  add_job_id(app, command->job_id);
  app.add_flag("-f,--follow", command->follow, "Go on until the attempt has ended");
  auto* tail = app.add_option("--tail", command->tail_lines, "Only the last lines; 0: none of them")
                   ->type_name("N")
                   ->check(CLI::Range(0U, 4'000'000'000U));
  auto* offset = app.add_option("--offset", command->offset, "From this byte on")
                     ->type_name("B")
                     ->check(check_whole_number);
  tail->excludes(offset);
  app.add_option("--stream", command->stream, "Of a job with separate streams")
      ->check(CLI::IsMember({"stdout", "stderr", "merged"}));
  app.add_option("--attempt", command->attempt, "Which execution [the newest]")
      ->type_name("N")
      ->check(CLI::Range(0U, 4'000'000'000U));
}

void add_list(CLI::App& job, Chosen& chosen) {
  const auto command = add<JobListCommand>(job, chosen, "list", "List jobs, newest first.");
  CLI::App& app = *job.get_subcommand("list");
  add_repeatable(app, "--state", command->states, "STATE", "In this state (repeatable)");
  app.add_option("--worker", command->worker, "Of this worker, by id or name")->type_name("WORKER");
  app.add_option("--name", command->name, "With this name");
  add_repeatable(app, "--label", command->labels, "K[=V]", "With this label (repeatable)");
  app.add_option("--queue", command->queue, "Of this queue")->type_name("NAME");
  app.add_option("--since", command->since, "Submitted since: 2h ago, or RFC 3339")
      ->type_name("TIME");
  app.add_option("--before", command->before, "Submitted before: 2h ago, or RFC 3339")
      ->type_name("TIME");
  app.add_option("--limit", command->limit, "At most this many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  auto* json = app.add_flag("--json", command->json, "Print one JSON document");
  app.add_flag("-q,--quiet", command->quiet, "Print ids only")->excludes(json);
}

void add_tasks(CLI::App& job, Chosen& chosen) {
  const auto command = add<JobTasksCommand>(job, chosen, "tasks", "List an array's tasks.");
  CLI::App& app = *job.get_subcommand("tasks");
  add_job_id(app, command->job_id);
  add_repeatable(app, "--state", command->states, "STATE", "In this state (repeatable)");
  app.add_option("--limit", command->limit, "At most this many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  auto* json = app.add_flag("--json", command->json, "Print one JSON document");
  app.add_flag("-q,--quiet", command->quiet, "Print ids only")->excludes(json);
}

void add_orders(CLI::App& job, Chosen& chosen) {
  const auto explain =
      add<JobExplainCommand>(job, chosen, "explain", "Say why a job is where it is.");
  CLI::App& explain_app = *job.get_subcommand("explain");
  add_job_id(explain_app, explain->job_id);
  explain_app.add_flag("--json", explain->json, "Print one JSON document");

  const auto signal = add<JobSignalCommand>(job, chosen, "signal", "Send a signal to a job.");
  CLI::App& signal_app = *job.get_subcommand("signal");
  add_job_id(signal_app, signal->job_id);
  signal_app.add_option("SIGNAL", signal->signal, "USR1, HUP, 10; STOP suspends, CONT resumes")
      ->required();
  signal_app.add_flag("--main-only", signal->main_only, "To the main process alone");

  const auto retry = add<JobRetryCommand>(
      job, chosen, "retry", "Start ended jobs once more; of an array what did not succeed.");
  CLI::App& retry_app = *job.get_subcommand("retry");
  add_group_options(retry_app, retry->job_ids, retry->group);
  retry_app
      .add_flag("--failed", retry->failed,
                "With these: those that are FAILED, TIMED_OUT or LOST [the default]")
      ->excludes(retry_app.get_option("--state"));
  retry_app.add_flag("--json", retry->json, "Print the jobs as JSON lines");

  const auto erase =
      add<JobDeleteCommand>(job, chosen, "delete", "Delete ended jobs, records and output.");
  add_job_ids(*job.get_subcommand("delete"), erase->job_ids);
}

// The word names what is to run by this option.
bool is_named_target(const std::string& word, const std::string& option) {
  return word == option || word.starts_with(option + "=");
}

// Options of `job start` and its like whose value is the next word.
bool takes_next_word(const CLI::App& start, const std::string& word) {
  if (word.find('=') != std::string::npos) return false;
  const CLI::Option* option = start.get_option_no_throw(word);
  return option != nullptr && option->get_items_expected_max() > 0;
}

}  // namespace

void add_job_commands(CLI::App& app, Chosen& chosen) {
  CLI::App& job = *app.add_subcommand("job", "Start, stop and show jobs.");
  job.require_subcommand(1);
  add_start(job, chosen);
  add_stop_query_wait(job, chosen);
  add_logs(job, chosen);
  add_list(job, chosen);
  add_tasks(job, chosen);
  add_orders(job, chosen);
}

void add_job_options(CLI::App& app, JobStartCommand& command) {
  add_client_options(app, command.client);
  add_spec_options(app, &command);
}

void add_run_command(CLI::App& app, Chosen& chosen) {
  CLI::App& run = *app.add_subcommand(
      "run", "Run a script or program: print its output and exit as it does. Ctrl-C stops it.");
  auto command = std::make_shared<RunCommand>();  // shared by the options and the callback
  run.callback([command, &chosen] { chosen = *command; });
  add_client_options(run, command->start.client);
  add_spec_options(run, &command->start);
  auto* detach = run.add_flag("-d,--detach", command->detach, "Print the job's id and leave it");
  run.add_flag("-q,--quiet", command->quiet, "Do not tell the job's id")->excludes(detach);
}

std::vector<std::string> take_target(const CLI::App& app, std::vector<std::string>& arguments) {
  const auto begins = [&arguments](const char* family, const char* name) {
    return arguments.size() > 1 && arguments[0] == family && arguments[1] == name;
  };
  const bool is_run = !arguments.empty() && arguments[0] == "run";
  const bool is_create = begins("schedule", "create");
  if (!is_run && !is_create && !begins("job", "start")) return {};
  const CLI::App* const family = app.get_subcommand(arguments[0]);
  const CLI::App& start = is_run ? *family : *family->get_subcommand(arguments[1]);
  size_t before = is_create ? 1 : 0;  // the schedule's name
  size_t at = is_run ? 1 : 2;
  for (; at < arguments.size(); ++at) {
    const std::string& word = arguments[at];
    if (is_named_target(word, kProgram) || is_named_target(word, kHandler) || word == "--" ||
        word == "-") {
      break;
    }
    if (!word.starts_with('-')) {
      if (before == 0) break;
      --before;
    } else if (takes_next_word(start, word)) {
      ++at;
    }
  }
  at = std::min(at, arguments.size());
  const auto begin = arguments.begin() + static_cast<std::ptrdiff_t>(at);
  std::vector<std::string> target(begin, arguments.end());
  arguments.erase(begin, arguments.end());
  return target;
}

absl::Status set_target(JobStartCommand& command, std::vector<std::string> words) {
  const std::string first = words.empty() ? "" : words.front();
  command.is_program = is_named_target(first, kProgram);
  command.is_handler = is_named_target(first, kHandler);
  const std::string option = command.is_handler ? kHandler : kProgram;
  if (first == "--" || first == option) {
    words.erase(words.begin());
  } else if (command.is_program || command.is_handler) {
    words.front().erase(0, option.size() + 1);
  }
  const bool is_of_document = !command.from_json.empty() && !command.upload;
  if (words.empty() && !command.is_program && !command.is_handler && is_of_document)
    return absl::OkStatus();
  if (words.empty() || words.front().empty()) {
    return absl::InvalidArgumentError(
        command.is_program   ? "--program: the program's name is missing"
        : command.is_handler ? "--handler: the handler's name is missing"
                             : "PATH: the script is missing");
  }
  if (command.is_program && !command.command.empty()) {
    return absl::InvalidArgumentError("--command: is for scripts; --program has no interpreter");
  }
  if (command.is_program && command.upload) {
    return absl::InvalidArgumentError("--upload: is for scripts; --program has none");
  }
  if (command.is_handler && (!command.command.empty() || command.upload)) {
    return absl::InvalidArgumentError(std::string(command.upload ? "--upload" : "--command") +
                                      ": is for scripts; a handler is a function of a program");
  }
  command.target = std::move(words.front());
  words.erase(words.begin());
  command.args = std::move(words);
  return absl::OkStatus();
}

}  // namespace clusterd
