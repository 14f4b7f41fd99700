// A program with handlers, for tests/e2e/library_test.py and conformance_test.py. Its environment
// says where the scheduler is.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "clusterd/worker.h"

namespace {

using clusterd::JobContext;
using std::chrono::milliseconds;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::Status conformance(JobContext& job) {
  const std::vector<std::string> args = job.args();
  if (args.at(0) == "fail") return absl::InternalError("as it was told");
  if (args[0] == "echo") {
    for (size_t i = 1; i < args.size(); ++i) job.out() << args[i] << "\n";
  } else if (args[0] == "lines") {
    for (int n = 1; n <= std::stoi(args.at(1)); ++n) job.write("line " + std::to_string(n) + "\n");
  } else if (args[0] == "tick") {
    for (int n = 0; n < std::stoi(args.at(2)) && !job.stop_requested(); ++n) {
      const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
      std::ofstream(args[1], std::ios::app) << "tick " + std::to_string(now.count()) + "\n";
      job.write("tick\n");
      std::this_thread::sleep_for(milliseconds(50));
    }
  }
  return absl::OkStatus();
}

absl::Status fail_by_exception(JobContext& job) {
  if (job.args().at(0) == "unknown") throw 5;
  throw std::runtime_error("thrown");
}

// Bytes of zeros, ones and so on, each 1,000 at a time.
absl::Status flood(JobContext& job) {
  for (uint64_t left = std::stoull(job.args().at(0)), n = 0; left > 0; ++n) {
    const uint64_t size = std::min<uint64_t>(left, 1000);
    job.write(std::string(size, static_cast<char>('0' + n % 10)));
    if (job.stop_requested()) return absl::CancelledError("stopped");
    left -= size;
  }
  return absl::OkStatus();
}

absl::Status say_progress(JobContext& job) {
  for (uint64_t n = 1; n <= 100; ++n) {
    job.progress(n, 100, n < 100 ? "counting" : "counted");
    if (n == 42) {  // until it may go on
      while (!job.stop_requested() && !std::ifstream(job.args().at(0))) {
        std::this_thread::sleep_for(milliseconds(5));
      }
    }
  }
  return absl::OkStatus();
}

// Fails where more of it run than may.
absl::Status limited(JobContext& job) {
  static std::atomic<int> running = 0;
  const int now = ++running;
  std::this_thread::sleep_for(milliseconds(50));
  --running;
  job.out() << now << "\n";
  return now <= 2 ? absl::OkStatus() : absl::InternalError("too many at a time");
}

absl::Status echo_input(JobContext& job) {
  job.write(job.input());
  job.out() << "task " << job.task_index().value_or(0) << " of " << job.task_count() << "\n";
  return absl::OkStatus();
}

// Does not listen.
absl::Status stuck(JobContext& job) {
  job.write("begun\n");
  std::this_thread::sleep_for(milliseconds(std::stoi(job.args().at(0))));
  return absl::OkStatus();
}

// Brings the process down.
absl::Status crash(JobContext& job) {
  job.write("begun\n");
  const std::string how = job.args().at(0);
  if (how == "abort") std::abort();
  if (how == "terminate") std::thread([] { throw 1; }).join();
  std::function<int(int)> deeper = [&deeper](int depth) { return deeper(depth + 1) + 1; };
  if (how == "stack") job.out() << deeper(0);
  (void)std::raise(SIGSEGV);
  return absl::OkStatus();
}

}  // namespace

int main() {
  clusterd::WorkerOptions options;
  options.scheduler_addresses = {variable("CLUSTERD_SCHEDULER")};
  options.data_dir = variable("CLUSTERD_DATA_DIR");
  options.name = variable("CLUSTERD_WORKER_NAME");
  options.slots = 4;
  options.log_level = "debug";
  options.ends_stuck_process = !variable("CLUSTERD_ENDS_STUCK").empty();
  options.stop_grace = std::chrono::seconds(1);
  clusterd::Worker worker(options);
  worker.handle("conformance", conformance);
  worker.handle("throw", fail_by_exception);
  worker.handle("flood", flood);
  worker.handle("progress", say_progress);
  worker.handle("limited", limited, {.max_concurrent = 2});
  worker.handle("input", echo_input);
  worker.handle("stuck", stuck);
  worker.handle("crash", crash);
  const absl::Status status = worker.run();
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 70;
}
