#include "cli/command_line.h"

#include <catch2/catch.hpp>

#include "cli/group_selection.h"

namespace clusterd {
namespace {

using Words = std::vector<std::string>;

template <typename T>
T parse(const Words& arguments) {
  const auto command = parse_command_line(arguments);
  INFO(command.status());
  REQUIRE(command.ok());
  REQUIRE(std::holds_alternative<T>(*command));
  return std::get<T>(*command);
}

std::string error_of(const Words& arguments) {
  const auto command = parse_command_line(arguments);
  REQUIRE_FALSE(command.ok());
  CHECK(command.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(command.status().message());
}

TEST_CASE("daemons take a configuration, a port file and --check", "[command_line]") {
  const auto scheduler = parse<SchedulerCommand>({"scheduler", "--config", "s.toml", "--check"});
  const auto worker =
      parse<WorkerCommand>({"worker", "--config=w.toml", "--port-file", "/tmp/ports"});

  CHECK(scheduler.config_file == "s.toml");
  CHECK(scheduler.check);
  CHECK(scheduler.port_file.empty());
  CHECK(worker.config_file == "w.toml");
  CHECK_FALSE(worker.check);
  CHECK(worker.port_file == "/tmp/ports");
}

TEST_CASE("numbers that do not fit are refused with the words that they are", "[command_line]") {
  const std::string whole = "is no whole number from 0 to 18446744073709551615";
  for (const std::string value : {"-1", "1.5", "x", "18446744073709551616"}) {
    CHECK(error_of({"queue", "set", "q", "--max-queued", value}).find(whole) != std::string::npos);
    CHECK(error_of({"cluster", "events", "--since", value}).find(whole) != std::string::npos);
    CHECK(error_of({"job", "logs", "--offset", value, "j"}).find(whole) != std::string::npos);
  }
  for (const std::string value : {"-0.5", "nan", "inf", "x"}) {
    CHECK(error_of({"job", "start", "--cpus", value, "x"}).find("is no number from 0 on") !=
          std::string::npos);
  }
  CHECK(parse<QueueSetCommand>({"queue", "set", "q", "--max-queued", "18446744073709551615"})
            .max_queued == UINT64_MAX);
}

TEST_CASE("dev has defaults for everything", "[command_line]") {
  const auto plain = parse<DevCommand>({"dev"});
  const auto full =
      parse<DevCommand>({"dev", "--scripts", "s", "--slots", "4", "--allow", "rsync", "--allow",
                         "/bin/tar", "--http-port", "0", "--grpc-port", "1", "--worker-port", "2"});

  CHECK(plain.scripts_dir == "scripts");
  CHECK(plain.http_port == 3000);
  CHECK(plain.grpc_port == 50000);
  CHECK(plain.worker_port == 30000);
  CHECK(full.scripts_dir == "s");
  CHECK(full.slots == 4);
  CHECK(full.allowed_programs == Words{"rsync", "/bin/tar"});
  CHECK(full.http_port == 0);
  CHECK(full.grpc_port == 1);
  CHECK(full.worker_port == 2);
}

TEST_CASE("job start passes everything after the path on untouched", "[command_line]") {
  const auto command = parse<JobStartCommand>({"job", "start", "--follow", "--command", "bash",
                                               "count.sh", "5", "--json", "-x", "--", "-"});

  CHECK(command.follow);
  CHECK_FALSE(command.json);
  CHECK_FALSE(command.is_program);
  CHECK(command.command == "bash");
  CHECK(command.target == "count.sh");
  CHECK(command.args == Words{"5", "--json", "-x", "--", "-"});
}

TEST_CASE("job start passes everything after a program's name on untouched", "[command_line]") {
  const auto apart =
      parse<JobStartCommand>({"job", "start", "--wait", "--program", "rsync", "-a", "--wait", "x"});
  const auto joined = parse<JobStartCommand>({"job", "start", "--program=/bin/ls", "--color"});

  CHECK(apart.wait);
  CHECK(apart.is_program);
  CHECK(apart.target == "rsync");
  CHECK(apart.args == Words{"-a", "--wait", "x"});
  CHECK(joined.target == "/bin/ls");
  CHECK(joined.args == Words{"--color"});
}

TEST_CASE("job start passes everything after a handler's name on untouched", "[command_line]") {
  const auto apart = parse<JobStartCommand>({"job", "start", "--handler", "thumbnail", "--json"});
  const auto joined = parse<JobStartCommand>({"job", "start", "--json", "--handler=thumbnail"});

  CHECK(apart.is_handler);
  CHECK_FALSE(apart.is_program);
  CHECK_FALSE(apart.json);
  CHECK(apart.target == "thumbnail");
  CHECK(apart.args == Words{"--json"});
  CHECK(joined.json);
  CHECK(joined.is_handler);
  CHECK(joined.target == "thumbnail");
}

TEST_CASE("a double dash lets a path begin with a dash", "[command_line]") {
  const auto command = parse<JobStartCommand>({"job", "start", "--json", "--", "-odd.sh", "--"});

  CHECK(command.json);
  CHECK(command.target == "-odd.sh");
  CHECK(command.args == Words{"--"});
}

TEST_CASE("job start takes all its options", "[command_line]") {
  const auto command = parse<JobStartCommand>(
      {"job",       "start", "--addr",     "h:1", "--token",      "t",   "--ca",          "a",
       "--cert",    "b",     "--key",      "c",   "--worker",     "w1",  "--name",        "n",
       "--env",     "A=1",   "--env",      "B",   "--cwd",        "sub", "--env-file",    "e",
       "--timeout", "30s",   "--stdin",    "-",   "--label",      "k=v", "--stop-signal", "INT",
       "--label",   "l=w",   "--priority", "-7",  "--stop-grace", "1s",  "--wait",        "--json",
       "s.sh"});

  CHECK(command.client.addr == "h:1");
  CHECK(command.client.token == "t");
  CHECK(command.client.ca_file == "a");
  CHECK(command.client.crt_file == "b");
  CHECK(command.client.key_file == "c");
  CHECK(command.worker == "w1");
  CHECK(command.name == "n");
  CHECK(command.env == Words{"A=1", "B"});
  CHECK(command.env_file == "e");
  CHECK(command.cwd == "sub");
  CHECK(command.timeout == "30s");
  CHECK(command.stdin_path == "-");
  CHECK(command.labels == Words{"k=v", "l=w"});
  CHECK(command.stop_signal == "INT");
  CHECK(command.stop_grace == "1s");
  CHECK(command.priority == -7);
  CHECK(command.wait);
  CHECK(command.json);
  CHECK(command.target == "s.sh");
}

TEST_CASE("jobs are selected instead of named", "[command_line]") {
  const auto stop = parse<JobStopCommand>({"job", "stop", "--label", "team=a", "--label", "b",
                                           "--queue", "q", "--name", "n", "--worker", "w",
                                           "--state", "queued", "--dry-run", "-q"});
  const auto retry = parse<JobRetryCommand>({"job", "retry", "--failed", "--name", "n"});

  const auto selection = group_selection(stop.job_ids, stop.group);
  REQUIRE(selection.ok());
  REQUIRE(selection->has_value());
  CHECK((*selection)->label_size() == 2);
  CHECK((*selection)->name() == "n");
  CHECK((*selection)->queue() == "q");
  CHECK((*selection)->worker_id() == "w");
  CHECK((*selection)->state(0) == v1::Job::QUEUED);
  CHECK(stop.group.dry_run);
  CHECK(stop.group.quiet);
  CHECK(retry.failed);
  CHECK(retry.group.name == "n");

  GroupFlags flags;
  CHECK(absl::IsInvalidArgument(group_selection({}, flags).status()));  // neither
  CHECK_FALSE(group_selection({"j"}, flags)->has_value());
  flags.dry_run = true;
  CHECK(absl::IsInvalidArgument(group_selection({"j"}, flags).status()));
  flags.name = "n";
  CHECK(absl::IsInvalidArgument(group_selection({"j"}, flags).status()));  // both
}

TEST_CASE("the other job and cluster commands take their options", "[command_line]") {
  const auto logs = parse<JobLogsCommand>(
      {"job", "logs", "-f", "--tail", "10", "--stream", "stderr", "--attempt", "2", "j1"});
  const auto none = parse<JobLogsCommand>({"job", "logs", "--tail", "0", "-f", "j1"});
  const auto from = parse<JobLogsCommand>({"job", "logs", "j1", "--offset", "4096"});
  const auto stop = parse<JobStopCommand>({"job", "stop", "j1", "--reason", "over", "--json"});
  const auto query = parse<JobQueryCommand>({"job", "query", "j1"});
  const auto wait = parse<JobWaitCommand>({"job", "wait", "--timeout", "5s", "j1"});
  const auto list =
      parse<JobListCommand>({"job", "list", "--state", "running", "--state", "queued", "--worker",
                             "w", "--name", "n", "--label", "a", "--limit", "7", "--json"});

  CHECK(logs.follow);
  CHECK(logs.tail_lines == 10);
  CHECK(logs.stream == "stderr");
  CHECK(logs.attempt == 2);
  CHECK(logs.job_id == "j1");
  CHECK(from.offset == 4096);
  CHECK_FALSE(from.tail_lines);
  CHECK(none.tail_lines == 0);
  CHECK(stop.job_ids == Words{"j1"});
  CHECK(stop.reason == "over");
  CHECK(stop.json);
  CHECK(query.job_id == "j1");
  CHECK(wait.timeout == "5s");
  CHECK(list.states == Words{"running", "queued"});
  CHECK(list.worker == "w");
  CHECK(list.labels == Words{"a"});
  CHECK(list.limit == 7);
  CHECK(list.json);
  CHECK(parse<ClusterStatusCommand>({"cluster", "status", "--json"}).json);
  CHECK_FALSE(parse<ClusterWorkersCommand>({"cluster", "workers"}).json);
  CHECK(std::holds_alternative<VersionCommand>(*parse_command_line({"--version"})));
}

TEST_CASE("a usage error names what is wrong", "[command_line]") {
  CHECK(error_of({}).find("command is missing") != std::string::npos);
  CHECK(error_of({"banana"}).find("banana") != std::string::npos);
  CHECK(error_of({"scheduler"}).find("--config") != std::string::npos);
  CHECK(error_of({"worker", "--config"}).find("--config") != std::string::npos);
  CHECK(error_of({"job"}).find("subcommand") != std::string::npos);
  CHECK(error_of({"job", "query"}).find("JOB") != std::string::npos);
  CHECK(error_of({"job", "query", "a", "b"}).find('b') != std::string::npos);
  CHECK(error_of({"job", "start"}).find("PATH") != std::string::npos);
  CHECK(error_of({"job", "start", "--program"}).find("--program") != std::string::npos);
  CHECK(error_of({"job", "start", "--command", "sh", "--program", "ls"}).find("--command") !=
        std::string::npos);
  CHECK(error_of({"job", "start", "--tiemout", "5s", "a.sh"}).find("--tiemout") !=
        std::string::npos);
  CHECK(error_of({"job", "start", "--priority", "1001", "a.sh"}).find("--priority") !=
        std::string::npos);
  CHECK(error_of({"job", "start", "--follow", "--wait", "a.sh"}).find("--follow") !=
        std::string::npos);
  CHECK(error_of({"job", "logs", "--tail", "x", "j"}).find("--tail") != std::string::npos);
  CHECK(error_of({"job", "logs", "--offset", "-1", "j"}).find("--offset") != std::string::npos);
  CHECK(error_of({"job", "logs", "--stream", "both", "j"}).find("--stream") != std::string::npos);
  CHECK(error_of({"dev", "--http-port", "65536"}).find("--http-port") != std::string::npos);
  CHECK(error_of({"job", "logs", "--attempt", "-1", "j"}).find("--attempt") != std::string::npos);
  CHECK(error_of({"dev", "--grpc-port", "-1"}).find("--grpc-port") != std::string::npos);
  CHECK(error_of({"dev", "--slots", "0"}).find("--slots") != std::string::npos);
}

TEST_CASE("a mistyped command is told the one that was meant", "[command_line]") {
  CHECK(error_of({"job", "strat", "x.sh"}) ==
        "job: \"strat\" is no command; did you mean \"start\"?");
  CHECK(error_of({"jbo", "list"}) == "\"jbo\" is no command; did you mean \"job\"?");
  CHECK(error_of({"cluster", "worker"}) ==
        "cluster: \"worker\" is no command; did you mean \"workers\"?");
  CHECK(error_of({"cluster", "banana"}) ==
        "cluster: \"banana\" is no command; there are status, workers, scripts, drain, "
        "resume, remove, events");
}

TEST_CASE("help is a text, not an error", "[command_line]") {
  CHECK(parse<HelpCommand>({"--help"}).text.find("scheduler") != std::string::npos);
  CHECK(parse<HelpCommand>({"job", "start", "--help"}).text.find("--stop-grace") !=
        std::string::npos);
}

TEST_CASE("run takes what job start takes, and leaves the job's own options alone",
          "[command_line]") {
  const auto command =
      parse_command_line({"run", "-q", "--separate", "--command", "bash", "a.sh", "--detach"});

  REQUIRE(command.ok());
  const auto& run = std::get<RunCommand>(*command);
  CHECK(run.quiet);
  CHECK_FALSE(run.detach);
  CHECK(run.start.output.separate);
  CHECK(run.start.command == "bash");
  CHECK(run.start.target == "a.sh");
  CHECK(run.start.args == std::vector<std::string>{"--detach"});
}

TEST_CASE("run without a script is an error", "[command_line]") {
  const auto command = parse_command_line({"run", "--detach"});

  CHECK(absl::IsInvalidArgument(command.status()));
}

}  // namespace
}  // namespace clusterd
