// A client of gearmand that waits for what it submits:
//
//   gearman_client --port N --function NAME --count N burst|serial
//
// `burst` submits all jobs at once and waits for all; `serial` submits the next when one has ended.
// Prints one line of JSON. Built where libgearman is installed.
#include <libgearman/gearman.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "timings.h"

namespace {

using clusterd::bench::Clock;
using clusterd::bench::seconds_since;
using clusterd::bench::Timings;

constexpr int kTimeoutMilliseconds = 120'000;

struct Options {
  int port = 0;
  std::string function;
  int count = 1000;
  std::string way;
};

struct Ends {
  int completed = 0;
  int failed = 0;
};

bool failed(const gearman_client_st* client, const char* what) {
  std::fprintf(stderr, "gearman_client: %s: %s\n", what, gearman_client_error(client));
  return false;
}

Ends& ends_of(gearman_task_st* task) { return *static_cast<Ends*>(gearman_task_context(task)); }

bool burst(gearman_client_st* client, const Options& options) {
  Ends ends;
  gearman_client_set_complete_fn(client, [](gearman_task_st* task) {
    ++ends_of(task).completed;
    return GEARMAN_SUCCESS;
  });
  gearman_client_set_fail_fn(client, [](gearman_task_st* task) {
    ++ends_of(task).failed;
    return GEARMAN_SUCCESS;
  });
  for (int i = 0; i < options.count; ++i) {
    const std::string unique = std::to_string(i);  // jobs that share theirs are one job
    gearman_return_t error = GEARMAN_SUCCESS;
    gearman_client_add_task(client, nullptr, &ends, options.function.c_str(), unique.c_str(), "x",
                            1, &error);
    if (error != GEARMAN_SUCCESS) return failed(client, "add_task");
  }
  if (gearman_client_run_tasks(client) != GEARMAN_SUCCESS) return failed(client, "run_tasks");
  if (ends.completed != options.count) {
    std::fprintf(stderr, "gearman_client: of %d jobs %d succeeded and %d failed\n", options.count,
                 ends.completed, ends.failed);
    return false;
  }
  return true;
}

bool serial(gearman_client_st* client, const Options& options, Timings& timings) {
  for (int i = 0; i < options.count; ++i) {
    const Clock::time_point begin = Clock::now();
    size_t size = 0;
    gearman_return_t error = GEARMAN_SUCCESS;
    std::free(gearman_client_do(client, options.function.c_str(), nullptr, "x", 1, &size, &error));
    if (error != GEARMAN_SUCCESS) return failed(client, "do");
    timings.add(seconds_since(begin));
  }
  return true;
}

int measure(const Options& options) {
  const std::unique_ptr<gearman_client_st, decltype(&gearman_client_free)> client(
      gearman_client_create(nullptr), &gearman_client_free);
  gearman_client_set_timeout(client.get(), kTimeoutMilliseconds);
  if (gearman_client_add_server(client.get(), "127.0.0.1", static_cast<in_port_t>(options.port)) !=
      GEARMAN_SUCCESS) {
    failed(client.get(), "add_server");
    return 1;
  }
  Timings timings;
  const Clock::time_point start = Clock::now();
  const bool done = options.way == "burst" ? burst(client.get(), options)
                                           : serial(client.get(), options, timings);
  const double seconds = seconds_since(start);
  if (!done) return 1;
  std::printf(R"({"count":%d,"seconds":%.6f,"rate":%.1f)", options.count, seconds,
              options.count / seconds);
  if (!timings.empty()) {
    std::printf(",");
    timings.print();
  }
  std::printf("}\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Submits jobs to gearmand and waits for their ends.");
  app.add_option("--port", options.port, "gearmand's on 127.0.0.1")
      ->required()
      ->check(CLI::Range(1, 65535));
  app.add_option("--function", options.function, "What workers have registered")->required();
  app.add_option("--count", options.count, "Jobs")
      ->check(CLI::Range(1, 10000000))
      ->capture_default_str();
  app.add_option("way", options.way, "How they are submitted")
      ->required()
      ->check(CLI::IsMember({"burst", "serial"}));
  CLI11_PARSE(app, argc, argv);
  return measure(options);
}
