#include "core/worker_protocol.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch.hpp>

#include "core/field_error.h"

using namespace clusterd;
using v1::Worker;

namespace {

v1::JobSpec spec_of(const std::string& text) {
  v1::JobSpec spec;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &spec));
  return spec;
}

std::string refused_field(Worker::Protocol protocol, const std::string& text) {
  return field_of(check_protocol(protocol, spec_of(text)));
}

}  // namespace

TEST_CASE("the protocols have the words that the configuration uses", "[worker_protocol]") {
  CHECK(word_of(Worker::PROTOCOL_UNSPECIFIED) == "clusterd");
  CHECK(word_of(Worker::CLUSTERD) == "clusterd");
  CHECK(word_of(Worker::JOBSCHEDULER) == "jobscheduler");
  CHECK(word_of(Worker::GO_WORK) == "go-work");
}

TEST_CASE("what only workers of our own can do is refused by name", "[worker_protocol]") {
  const std::string base = R"(command: "bash" path: "a.sh" )";
  const std::tuple<const char*, const char*> row = GENERATE(table<const char*, const char*>({
      {"env", R"(env { key: "A" value: "b" })"},
      {"cwd", R"(cwd: "x")"},
      {"stdin", R"(stdin: "x")"},
      {"timeout", "timeout { seconds: 1 }"},
      {"stop_signal", R"(stop_signal: "INT")"},
      {"stop_grace", "stop_grace { seconds: 1 }"},
      {"array", "array { to: 3 }"},
      {"output", "output { mode: MERGED }"},
      {"limits", "limits { pids: 3 }"},
      {"umask", R"(umask: "027")"},
      {"run_as", R"(run_as: "nobody")"},
      {"stdin_file", R"(stdin_file: "x")"},
      {"keep_scratch", "keep_scratch: true"},
      {"resources.every_worker", "resources { every_worker: true }"},
      {"retry.on", "retry { max_attempts: 2 on: LOSS }"},
  }));
  const auto [field, more] = row;
  CAPTURE(field);

  CHECK(refused_field(Worker::JOBSCHEDULER, base + more) == field);
  CHECK(refused_field(Worker::GO_WORK, base + more) == field);
  const SuitableProtocols suitable = suitable_protocols(spec_of(base + more));
  CHECK(suitable.clusterd);
  CHECK_FALSE(suitable.jobscheduler);
  CHECK_FALSE(suitable.go_work);
}

TEST_CASE("what the scheduler does by itself is no matter of the protocol", "[worker_protocol]") {
  const v1::JobSpec spec = spec_of(R"(
      name: "n" worker_id: "w" command: "bash" path: "/any/where.sh" queue: "q" priority: 3
      queue_timeout { seconds: 1 } lost_after { seconds: 9 } start_delay { seconds: 1 }
      after { job_id: "j" } require: "protocol=go-work" labels { key: "a" value: "b" }
      resources { slots: 1 } retry { max_attempts: 2 on: LOSS on: FAILURE allow_overlap: true })");

  CHECK(check_protocol(Worker::JOBSCHEDULER, spec).ok());
  CHECK(check_protocol(Worker::GO_WORK, spec).ok());
}

TEST_CASE("a jobscheduler worker runs a command with the path as its one argument",
          "[worker_protocol]") {
  CHECK(refused_field(Worker::JOBSCHEDULER, R"(path: "a.sh")") == "command");
  CHECK(refused_field(Worker::JOBSCHEDULER, R"(payload: "x")") == "command");
  CHECK(refused_field(Worker::JOBSCHEDULER, R"(command: "bash" path: "a" args: "1")") == "args");
  CHECK(refused_field(Worker::JOBSCHEDULER, R"(command: "ls")").empty());
  CHECK(refused_field(Worker::JOBSCHEDULER, R"(command: "ls" args: "")").empty());
  CHECK_THAT(
      std::string(
          check_protocol(Worker::JOBSCHEDULER, spec_of(R"(command: "a" cwd: "b")")).message()),
      Catch::Contains("its protocol is jobscheduler"));
}

TEST_CASE("a bare payload is for go-work workers alone", "[worker_protocol]") {
  CHECK(refused_field(Worker::CLUSTERD, R"(payload: "x")") == "path");
  CHECK(refused_field(Worker::GO_WORK, R"(payload: "x")").empty());
}

TEST_CASE("a go-work worker is told the payload, else the command line", "[worker_protocol]") {
  CHECK(payload_of(spec_of(R"(payload: "do some work" path: "x")")) == "do some work");
  CHECK(payload_of(spec_of(R"(command: "bash" path: "count.sh" args: "5" args: "a b")")) ==
        "bash count.sh 5 'a b'");
}

TEST_CASE("a payload is the command line of a script", "[worker_protocol]") {
  const auto spec = spec_of_payload("jobs/count.sh 5 'a b'", "");

  REQUIRE(spec.ok());
  CHECK(spec->path() == "jobs/count.sh");
  CHECK(spec->command().empty());
  CHECK(std::vector<std::string>(spec->args().begin(), spec->args().end()) ==
        std::vector<std::string>{"5", "a b"});
}

TEST_CASE("with a task script a payload is its one argument", "[worker_protocol]") {
  const auto spec = spec_of_payload("do 'some work", "tasks/run.sh");

  REQUIRE(spec.ok());
  CHECK(spec->path() == "tasks/run.sh");
  REQUIRE(spec->args_size() == 1);
  CHECK(spec->args(0) == "do 'some work");
}

TEST_CASE("a payload that names no script is refused", "[worker_protocol]") {
  const char* payload = GENERATE(" ", "''", "'a", "/etc/passwd", "../a.sh", "a/../../b");
  CAPTURE(payload);

  CHECK(field_of(spec_of_payload(payload, "").status()) == "payload");
}
