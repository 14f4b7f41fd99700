#include "cli/dev_config.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "core/config_load.h"

namespace clusterd {
namespace {

DevCommand on_free_ports() {
  DevCommand command;
  command.scripts_dir = "/";
  command.http_port = 0;
  command.grpc_port = 0;
  command.worker_port = 0;
  return command;
}

TEST_CASE("how much output is kept and what is logged can be told", "[dev]") {
  DevCommand command = on_free_ports();
  command.max_output_bytes = 1ULL << 30;
  command.log_level = "error";

  const auto scheduler = parse_scheduler_config(dev_scheduler_config(command, "/tmp/x"), "s.toml");
  const auto worker = parse_worker_config(
      dev_worker_config(command, "/tmp/x", "/dev/shm/x", "127.0.0.1:7"), "w.toml");

  REQUIRE(scheduler.ok());
  CHECK(scheduler->log.level == "error");
  REQUIRE(worker.ok());
  CHECK(worker->jobs.max_output_bytes == 1ULL << 30);
  CHECK(worker->log.level == "error");
}

TEST_CASE("the generated files load and say what was asked for", "[dev]") {
  DevCommand command = on_free_ports();
  command.slots = 3;
  command.http_port = 3001;
  command.scripts_dir = "/a \"b\"\\c";
  command.allowed_programs = {"rsync", "/bin/tar"};

  const auto scheduler =
      parse_scheduler_config(dev_scheduler_config(command, "/tmp/x"), "scheduler.toml");
  const auto worker = parse_worker_config(
      dev_worker_config(command, "/tmp/x", "/dev/shm/x", "127.0.0.1:7"), "worker.toml");

  INFO(scheduler.status());
  INFO(worker.status());
  REQUIRE(scheduler.ok());
  CHECK(scheduler->http_server.addr == "127.0.0.1:3001");
  CHECK(scheduler->store.path == "/tmp/x/clusterd.db");
  REQUIRE(worker.ok());
  CHECK(worker->scheduler.addr == std::vector<std::string>{"127.0.0.1:7"});
  CHECK(worker->capacity.slots == 3);
  CHECK(worker->worker.on_stop == "stop");
  CHECK(worker->jobs.scripts_dir == "/a \"b\"\\c");
  CHECK(worker->jobs.data_dir == "/tmp/x/worker");
  CHECK(worker->jobs.allowed_programs == std::vector<std::string>{"rsync", "/bin/tar"});
}

TEST_CASE("a missing scripts folder is named", "[dev]") {
  DevCommand command = on_free_ports();
  command.scripts_dir = "/nonexistent/scripts";

  const absl::Status status = check_dev(command);

  CHECK(status.code() == absl::StatusCode::kNotFound);
  CHECK(std::string(status.message()).find("/nonexistent/scripts") != std::string::npos);
  CHECK(check_dev(on_free_ports()).ok());
}

TEST_CASE("a port that is taken is named with the option that changes it", "[dev]") {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(listen(listener, 1) == 0);
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  DevCommand command = on_free_ports();
  command.grpc_port = ntohs(address.sin_port);

  const absl::Status status = check_dev(command);

  close(listener);
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::string(status.message()).find("port " + std::to_string(command.grpc_port)) == 0);
  CHECK(std::string(status.message()).find("--grpc-port") != std::string::npos);
}

TEST_CASE("values are found in a port file", "[dev]") {
  const std::string content = "grpc=127.0.0.1:1\nhttp=127.0.0.1:2\n";

  CHECK(port_file_value(content, "grpc") == "127.0.0.1:1");
  CHECK(port_file_value(content, "http") == "127.0.0.1:2");
  CHECK(port_file_value(content, "tp").empty());
}

}  // namespace
}  // namespace clusterd
