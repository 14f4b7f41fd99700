#include "cli/job_spec_builder.h"

#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <functional>

namespace clusterd {
namespace {

const Environment kNoEnvironment = [](const char*) { return std::nullopt; };

JobStartCommand script() {
  JobStartCommand command;
  command.target = "count.sh";
  return command;
}

std::string write_file(const std::string& content) {
  std::string path = "/tmp/job-spec-XXXXXX";
  const int file = mkstemp(path.data());
  REQUIRE(file >= 0);
  REQUIRE(write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  close(file);
  return path;
}

TEST_CASE("limits are absent, or as given", "[job_spec]") {
  JobStartCommand command = script();
  const auto plain = build_job_spec(command, kNoEnvironment);
  command.limits.memory = "64MiB";
  command.limits.cpus = 0.5;
  command.limits.pids = 10;
  command.limits.open_files = 64;
  command.limits.core = "0";
  command.limits.nice = 5;
  const auto limited = build_job_spec(command, kNoEnvironment);
  command.limits.memory = "much";
  const auto wrong = build_job_spec(command, kNoEnvironment);

  REQUIRE((plain.ok() && limited.ok()));
  CHECK_FALSE(plain->has_limits());
  CHECK(limited->limits().memory_bytes() == 64ULL << 20);
  CHECK(limited->limits().cpus() == 0.5);
  CHECK(limited->limits().pids() == 10);
  CHECK(limited->limits().open_files() == 64);
  CHECK(limited->limits().has_core_bytes());
  CHECK(limited->limits().core_bytes() == 0);
  CHECK(limited->limits().nice() == 5);
  CHECK_THAT(std::string(wrong.status().message()),
             Catch::Contains("--limit-memory: \"much\" is not a size"));
}

TEST_CASE("a handler is named alone", "[job_spec]") {
  JobStartCommand command;
  command.is_handler = true;
  command.target = "thumbnail";
  command.args = {"a.png"};

  const auto spec = build_job_spec(command, kNoEnvironment);

  REQUIRE(spec.ok());
  CHECK(spec->handler() == "thumbnail");
  CHECK(spec->path().empty());
  CHECK(spec->command().empty());
  CHECK(spec->args(0) == "a.png");
}

TEST_CASE("a script goes into path, a program into command", "[job_spec]") {
  JobStartCommand command = script();
  command.command = "bash";
  command.args = {"5", "-x"};
  JobStartCommand program;
  program.is_program = true;
  program.target = "rsync";

  const auto spec = build_job_spec(command, kNoEnvironment);
  const auto other = build_job_spec(program, kNoEnvironment);

  REQUIRE(spec.ok());
  CHECK(spec->path() == "count.sh");
  CHECK(spec->command() == "bash");
  CHECK(spec->args_size() == 2);
  CHECK_FALSE(spec->has_timeout());
  REQUIRE(other.ok());
  CHECK(other->path().empty());
  CHECK(other->command() == "rsync");
}

TEST_CASE("variables come from a file, from options and from here, later ones win", "[job_spec]") {
  const std::string file = write_file("# comment\n\nA=file\nB=x=y\nLAST=1");
  JobStartCommand command = script();
  command.env_file = file;
  command.env = {"A=option", "HERE", "EMPTY="};

  const auto spec = build_job_spec(command, [](const char* name) -> std::optional<std::string> {
    if (std::string(name) == "HERE") return "here";
    return std::nullopt;
  });

  unlink(file.c_str());
  REQUIRE(spec.ok());
  CHECK(spec->env().size() == 5);
  CHECK(spec->env().at("A") == "option");
  CHECK(spec->env().at("B") == "x=y");
  CHECK(spec->env().at("LAST") == "1");
  CHECK(spec->env().at("HERE") == "here");
  CHECK(spec->env().at("EMPTY").empty());
}

TEST_CASE("times, labels and standard input are taken over", "[job_spec]") {
  const std::string file = write_file(std::string("a\0b", 3));
  JobStartCommand command = script();
  command.timeout = "90s";
  command.stop_grace = "1.5s";
  command.labels = {"k=v"};
  command.stdin_path = file;

  const auto spec = build_job_spec(command, kNoEnvironment);

  unlink(file.c_str());
  REQUIRE(spec.ok());
  CHECK(spec->timeout().seconds() == 90);
  CHECK(spec->stop_grace().nanos() == 500'000'000);
  CHECK(spec->labels().at("k") == "v");
  CHECK(spec->stdin() == std::string("a\0b", 3));
}

TEST_CASE("what is wrong is named by its option", "[job_spec]") {
  const auto error_of = [](auto change) {
    JobStartCommand command = script();
    change(command);
    const auto spec = build_job_spec(command, kNoEnvironment);
    REQUIRE_FALSE(spec.ok());
    return std::string(spec.status().message());
  };

  CHECK(error_of([](auto& c) { c.timeout = "soon"; }).starts_with("--timeout: \"soon\""));
  CHECK(error_of([](auto& c) { c.stop_grace = "-1s"; }).starts_with("--stop-grace: \"-1s\""));
  CHECK(error_of([](auto& c) { c.env = {"NOT_HERE"}; }).starts_with("--env: \"NOT_HERE\""));
  CHECK(error_of([](auto& c) { c.env = {"=x"}; }).starts_with("--env: "));
  CHECK(error_of([](auto& c) { c.labels = {"k"}; }).starts_with("--label: \"k\""));
  CHECK(error_of([](auto& c) { c.env_file = "/nonexistent"; }).starts_with("--env-file: "));
  CHECK(error_of([](auto& c) { c.stdin_path = "/nonexistent"; }).starts_with("--stdin: "));
  CHECK(error_of([](auto& c) { c.args = {"\xFF"}; }).starts_with("ARGS: "));
}

TEST_CASE("a bad line of an environment file is named by number, its text is not shown",
          "[job_spec]") {
  const std::string file = write_file("A=1\nsecret without a name\n");
  JobStartCommand command = script();
  command.env_file = file;

  const auto spec = build_job_spec(command, kNoEnvironment);

  unlink(file.c_str());
  REQUIRE_FALSE(spec.ok());
  CHECK(std::string(spec.status().message()).find(file + ":2") != std::string::npos);
  CHECK(std::string(spec.status().message()).find("secret") == std::string::npos);
}

TEST_CASE("standard input above 64 KiB is refused", "[job_spec]") {
  const std::string file = write_file(std::string((64 << 10) + 1, 'x'));
  JobStartCommand command = script();
  command.stdin_path = file;

  const auto spec = build_job_spec(command, kNoEnvironment);

  unlink(file.c_str());
  CHECK(spec.status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("options of placement go into the spec", "[job_spec]") {
  JobStartCommand command = script();
  command.queueing.resources = {"gpu=2", "license=1"};
  command.queueing.exclusive = true;
  command.queueing.prefer = {"zone=a:10", "!spot:-5", "ssd=3"};
  command.queueing.pack = true;
  command.queueing.tolerate = {"gpu", "*"};
  command.queueing.gang = 4;
  command.queueing.gang_goes_on = true;

  const auto spec = build_job_spec(command, kNoEnvironment);

  REQUIRE(spec.ok());
  CHECK(spec->resources().custom().at("gpu") == 2);
  CHECK(spec->resources().custom().at("license") == 1);
  CHECK(spec->resources().exclusive());
  REQUIRE(spec->prefer_size() == 3);
  CHECK(spec->prefer(0).match() == "zone=a");
  CHECK(spec->prefer(0).weight() == 10);
  CHECK(spec->prefer(1).match() == "!spot");
  CHECK(spec->prefer(1).weight() == -5);
  CHECK(spec->prefer(2).match() == "ssd");
  CHECK(spec->prefer(2).weight() == 3);
  CHECK(spec->pack());
  CHECK(spec->tolerate_size() == 2);
  CHECK(spec->gang().size() == 4);
  CHECK(spec->gang().on_failure() == v1::GangSpec::CONTINUE);

  command.queueing.resources = {"gpu=1", "gpu=2"};
  CHECK(build_job_spec(command, kNoEnvironment).status().message() ==
        "--resource: \"gpu=2\" is not the only one of \"gpu\"");
  for (const char* wrong : {"gpu", "=1", "gpu=x"}) {
    command = script();
    command.queueing.resources = {wrong};
    CHECK(build_job_spec(command, kNoEnvironment).status().message().find("--resource") == 0);
  }
  command = script();
  command.queueing.prefer = {"zone=a"};
  CHECK(build_job_spec(command, kNoEnvironment).status().message().find("--prefer") == 0);
}

TEST_CASE("options of the queue go into the spec", "[job_spec]") {
  JobStartCommand command = script();
  command.queueing.array = "1-9:2%3";
  command.queueing.require = {"gpu=yes"};
  command.queueing.slots = 2;
  command.queueing.memory = "1KiB";
  command.queueing.start_at = "2030-01-31T08:00:00Z";
  command.queueing.queue_timeout = "5s";
  command.queueing.after = {"a", "b:failure"};
  command.queueing.max_attempts = 3;
  command.queueing.retry_on = {"loss", "start-failure"};
  command.queueing.backoff = "2s";
  command.queueing.max_losses = 2;

  const auto spec = build_job_spec(command, kNoEnvironment);

  REQUIRE(spec.ok());
  CHECK(spec->retry().max_losses() == 2);
  CHECK(spec->array().from() == 1);
  CHECK(spec->array().to() == 9);
  CHECK(spec->array().step() == 2);
  CHECK(spec->array().max_parallel() == 3);
  CHECK(spec->require(0) == "gpu=yes");
  CHECK(spec->resources().slots() == 2);
  CHECK(spec->resources().memory_bytes() == 1024);
  CHECK(spec->start_at().seconds() == 1'896'076'800);
  CHECK(spec->queue_timeout().seconds() == 5);
  CHECK(spec->after(0).on() == v1::Dependency::SUCCESS);
  CHECK(spec->after(1).job_id() == "b");
  CHECK(spec->after(1).on() == v1::Dependency::FAILURE);
  CHECK(spec->retry().max_attempts() == 3);
  CHECK(spec->retry().on_size() == 2);
  CHECK(spec->retry().on(1) == v1::RetryPolicy::START_FAILURE);
  CHECK(spec->retry().backoff().seconds() == 2);
}

TEST_CASE("attempts without a word on what for are for every end but a stop", "[job_spec]") {
  JobStartCommand command = script();
  command.queueing.max_attempts = 2;

  const auto spec = build_job_spec(command, kNoEnvironment);

  REQUIRE(spec.ok());
  CHECK(spec->retry().on_size() == 4);
}

TEST_CASE("options of the output fill its part of the job", "[job_spec]") {
  JobStartCommand command = script();
  command.output.separate = true;
  command.output.max_bytes = "64MiB";
  command.output.on_limit = "stop";
  command.output.archive_command = "keep-logs";
  JobStartCommand bad = script();
  bad.output.max_bytes = "much";

  const auto spec = build_job_spec(command, kNoEnvironment);

  REQUIRE(spec.ok());
  CHECK(spec->output().mode() == v1::OutputSpec::SEPARATE);
  CHECK(spec->output().max_bytes() == 64 << 20);
  CHECK(spec->output().on_limit() == v1::OutputSpec::STOP);
  CHECK(spec->output().archive_command() == "keep-logs");
  CHECK_THAT(std::string(build_job_spec(bad, kNoEnvironment).status().message()),
             Catch::StartsWith("--max-output: \"much\""));
}

TEST_CASE("a bad option of the queue is named with its value", "[job_spec]") {
  const auto error_of = [](const std::function<void(QueueFlags&)>& change) {
    JobStartCommand command = script();
    change(command.queueing);
    return std::string(build_job_spec(command, kNoEnvironment).status().message());
  };

  CHECK_THAT(error_of([](QueueFlags& flags) { flags.array = "1..9"; }),
             Catch::StartsWith("--array: \"1..9\""));
  CHECK_THAT(error_of([](QueueFlags& flags) { flags.array = "1-99999999999"; }),
             Catch::StartsWith("--array: "));
  CHECK_THAT(error_of([](QueueFlags& flags) { flags.memory = "much"; }),
             Catch::StartsWith("--memory: \"much\""));
  CHECK_THAT(error_of([](QueueFlags& flags) { flags.after = {"a:never"}; }),
             Catch::StartsWith("--after: \"a:never\""));
  CHECK_THAT(error_of([](QueueFlags& flags) { flags.retry_on = {"rain"}; }),
             Catch::StartsWith("--retry-on: \"rain\""));
  CHECK_THAT(error_of([](QueueFlags& flags) { flags.start_at = "noon"; }),
             Catch::StartsWith("--start-at: \"noon\""));
}

TEST_CASE("options go before what stands in the document", "[job_spec]") {
  const std::string file = write_file(
      R"({"path": "a.sh", "command": "sh", "args": ["1"], "timeout": "1.5s", "priority": 3})");
  JobStartCommand command;
  command.from_json = file;
  const auto plain = build_job_spec(command, kNoEnvironment);
  command.timeout = "30s";
  command.target = "b.sh";
  const auto other = build_job_spec(command, kNoEnvironment);

  unlink(file.c_str());
  REQUIRE(plain.ok());
  CHECK(plain->path() == "a.sh");
  CHECK(plain->args(0) == "1");
  CHECK(plain->timeout().seconds() == 1);
  REQUIRE(other.ok());
  CHECK(other->path() == "b.sh");
  CHECK(other->command().empty());
  CHECK(other->args().empty());
  CHECK(other->timeout().seconds() == 30);
  CHECK(other->timeout().nanos() == 0);
  CHECK(other->priority() == 3);
}

TEST_CASE("a document that is wrong is an error with its place", "[job_spec]") {
  const std::string file = write_file(R"({"path": "a.sh", "colour": 1})");
  JobStartCommand command;
  command.from_json = file;

  const auto spec = build_job_spec(command, kNoEnvironment);

  unlink(file.c_str());
  CHECK(absl::IsInvalidArgument(spec.status()));
  CHECK(spec.status().message().find("colour") != std::string_view::npos);
}

}  // namespace
}  // namespace clusterd
