#include "support/etcd_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <thread>

namespace clusterd::testing {
namespace {

constexpr auto kStartTimeout = std::chrono::seconds(30);

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

// One that nobody has, below those that the kernel gives to who asks for any: no connection of
// another test takes it before etcd does. Processes begin ten apart.
std::string free_address() {
  constexpr int kFirst = 10'000;
  constexpr int kCount = 20'000;
  static int next = ::getpid() % (kCount / 10) * 10;
  bool is_free = false;
  int port = 0;
  while (!is_free) {
    port = kFirst + next++ % kCount;
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port);
    is_free = ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    ::close(listener);
  }
  return "127.0.0.1:" + std::to_string(port);
}

bool accepts(const std::string& address) {
  const int caller = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in to = loopback(std::stoi(address.substr(address.find(':') + 1)));
  const bool accepted = ::connect(caller, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0;
  ::close(caller);
  return accepted;
}

}  // namespace

EtcdServer::EtcdServer() : EtcdServer(Options()) {}

EtcdServer::EtcdServer(const Options& options)
    : options_(options), endpoint_(free_address()), peer_(free_address()) {
  start();
}

EtcdServer::~EtcdServer() {
  if (pid_ > 0) kill();
}

SchedulerConfig::Store EtcdServer::settings() const {
  SchedulerConfig::Store settings;
  settings.backend = "etcd";
  settings.endpoints = {endpoint_};
  settings.quota_bytes = options_.quota_bytes;
  return settings;
}

void EtcdServer::start() {
  const std::string client = options_.scheme + "://" + endpoint_;
  const std::string peer = "http://" + peer_;
  std::vector<std::string> arguments = {
      "etcd",
      "--name=test",
      "--data-dir=" + (folder_ / "data"),
      "--listen-client-urls=" + client,
      "--advertise-client-urls=" + client,
      "--listen-peer-urls=" + peer,
      "--initial-advertise-peer-urls=" + peer,
      "--initial-cluster=test=" + peer,
      "--logger=zap",
      "--log-level=error",
      "--quota-backend-bytes=" + std::to_string(options_.quota_bytes)};
  if (!options_.syncs) arguments.emplace_back("--unsafe-no-fsync");
  for (const std::string& argument : options_.arguments) arguments.push_back(argument);
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  const std::string log = folder_ / "etcd.log";
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(file, 1);
    ::dup2(file, 2);
    ::execvp(words[0], words.data());
    ::_exit(127);
  }
  wait_until_ready();
}

void EtcdServer::wait_until_ready() const {
  const auto deadline = std::chrono::steady_clock::now() + kStartTimeout;
  while (!accepts(endpoint_)) {
    REQUIRE(::waitpid(pid_, nullptr, WNOHANG) == 0);
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void EtcdServer::signal(int number) const { REQUIRE(::kill(pid_, number) == 0); }

void EtcdServer::pause() {
  signal(SIGSTOP);
  int status = 0;  // told when the last of its threads has stopped
  REQUIRE(::waitpid(pid_, &status, WUNTRACED) == pid_);
  REQUIRE(WIFSTOPPED(status));
}

void EtcdServer::resume() { signal(SIGCONT); }

void EtcdServer::kill() {
  (void)::kill(pid_, SIGKILL);
  (void)::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void EtcdServer::etcdctl(const std::string& arguments) const {
  const std::string command = "ETCDCTL_API=3 etcdctl --endpoints=" + endpoint_ + " " + arguments +
                              " >>" + (folder_ / "etcdctl.log") + " 2>&1";
  INFO(command);
  REQUIRE(std::system(command.c_str()) == 0);
}

}  // namespace clusterd::testing
