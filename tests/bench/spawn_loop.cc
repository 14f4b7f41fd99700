// How many processes a second this machine starts and reaps, with nothing around them:
//
//   spawn_loop [--threads N] [--count N] [--pipe] [--latency] COMMAND [ARGUMENT]...
//
// Each thread does posix_spawn and waitpid, one process after the other; with --pipe the command's
// standard output is a pipe that is read to its end. Prints one line of JSON.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "timings.h"

namespace {

using clusterd::bench::Clock;
using clusterd::bench::seconds_since;
using clusterd::bench::Timings;

struct Options {
  int threads = 2;
  int count = 1000;
  bool pipe = false;
  bool latency = false;
  std::vector<std::string> command;
};

// Starts the command again and again. Each thread has one.
class Spawner {
 public:
  explicit Spawner(const Options& options) : with_pipe_(options.pipe) {
    for (const std::string& word : options.command) {
      argv_.push_back(const_cast<char*>(word.c_str()));
    }
    argv_.push_back(nullptr);
  }

  // One process, from its start to its end. False, with a message, where it does not succeed.
  bool run() {
    std::array<int, 2> pipe = {-1, -1};
    if (with_pipe_ && ::pipe2(pipe.data(), O_CLOEXEC) != 0) return failed("pipe2", errno);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (with_pipe_) posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
    pid_t pid = 0;
    const int error = ::posix_spawnp(&pid, argv_[0], &actions, nullptr, argv_.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (with_pipe_) {
      ::close(pipe[1]);
      if (error == 0) read_to_end(pipe[0]);
      ::close(pipe[0]);
    }
    if (error != 0) return failed(argv_[0], error);
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid) return failed("waitpid", errno);
    if (status != 0) std::fprintf(stderr, "%s ended with status %d\n", argv_[0], status);
    return status == 0;
  }

 private:
  static bool failed(const char* what, int error) {
    std::fprintf(stderr, "spawn_loop: %s: %s\n", what, std::strerror(error));
    return false;
  }

  static void read_to_end(int pipe) {
    std::array<char, 1 << 16> buffer;
    while (::read(pipe, buffer.data(), buffer.size()) > 0) {
    }
  }

  bool with_pipe_;
  std::vector<char*> argv_;
};

int measure(const Options& options) {
  std::atomic<int> left = options.count;
  std::atomic<bool> failed = false;
  std::vector<Timings> timings(static_cast<size_t>(options.threads));
  std::vector<std::thread> threads;
  const Clock::time_point start = Clock::now();
  for (Timings& mine : timings) {
    threads.emplace_back([&options, &left, &failed, &mine] {
      Spawner spawner(options);
      while (!failed && left.fetch_sub(1) > 0) {
        const Clock::time_point begin = Clock::now();
        if (!spawner.run()) failed = true;
        if (options.latency) mine.add(seconds_since(begin));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = seconds_since(start);
  if (failed) return 1;
  std::printf(R"({"count":%d,"seconds":%.6f,"rate":%.1f)", options.count, seconds,
              options.count / seconds);
  if (options.latency) {
    Timings all;
    for (const Timings& some : timings) all.merge(some);
    std::printf(",");
    all.print();
  }
  std::printf("}\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Starts processes without pause and prints how many a second.");
  app.add_option("--threads", options.threads, "Threads, each with one process at a time")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--count", options.count, "Processes in all")
      ->check(CLI::Range(1, 100000000))
      ->capture_default_str();
  app.add_flag("--pipe", options.pipe, "Standard output is a pipe that is read");
  app.add_flag("--latency", options.latency, "Print how long one took, too");
  app.add_option("command", options.command, "Program and its arguments")->required();
  app.prefix_command();
  app.positionals_at_end();
  CLI11_PARSE(app, argc, argv);
  return measure(options);
}
