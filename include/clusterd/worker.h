#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// Who a worker is, what it offers, and where the scheduler is.
struct WorkerOptions {
  // "host:port", tried in turn.
  std::vector<std::string> scheduler_addresses = {"127.0.0.1:50000"};
  // Where the scheduler calls it: host:port, port 0: any free one. Beyond loopback it needs TLS.
  std::string listen_address = "127.0.0.1:0";
  // host:port at which the scheduler reaches that; empty: as it listens, or, where that is every
  // interface, where the calls of the worker come from.
  std::string advertise_address;
  std::string name;  // unique in the cluster; empty: that of the certificate or of the host
  std::map<std::string, std::string> labels;
  std::vector<std::string> taints;  // "key" or "key=value"
  // The worker's memory: who it is, what it holds, output. One process at a time, on a local disk.
  std::string data_dir = "data";
  // What it offers; 0: what the machine has, slots by its processors.
  uint32_t slots = 0;
  double cpus = 0;
  uint64_t memory_bytes = 0;
  // Kept of one job's output, unless the job asks for less.
  uint64_t max_output_bytes = 256ULL << 20;
  // From a request to stop to the complaint that the handler has not returned.
  std::chrono::nanoseconds stop_grace = std::chrono::seconds(10);
  // Output of jobs that ended is kept so long.
  std::chrono::nanoseconds max_age = std::chrono::hours(168);
  // End the whole process where a handler has not returned that long after a stop request or its
  // timeout. Its other jobs are lost with it.
  bool ends_stuck_process = false;
  // All three together for TLS, with which schedulers are told by their certificates, too.
  std::string crt_file;
  std::string key_file;
  std::string ca_file;
  std::string crl_file;
  std::string log_level = "info";  // trace, debug, info, warning or error, on standard error
};

// One job, for the handler that runs it. Safe from many threads; valid until the handler returns.
class JobContext {
 public:
  class Run;
  explicit JobContext(Run& run);
  ~JobContext();
  JobContext(const JobContext&) = delete;
  JobContext& operator=(const JobContext&) = delete;

  [[nodiscard]] const std::string& job_id() const;
  [[nodiscard]] uint32_t attempt() const;
  // What was asked for; of a task, its array's.
  [[nodiscard]] const v1::JobSpec& spec() const;
  // `args` of the spec.
  [[nodiscard]] std::vector<std::string> args() const;
  // `stdin` of the spec.
  [[nodiscard]] const std::string& input() const;
  // Of a task of an array.
  [[nodiscard]] std::optional<uint32_t> task_index() const;
  [[nodiscard]] uint32_t task_count() const;

  // Adds to the job's output, which followers see at once. Never fails: what cannot be kept is
  // counted as released, or ends the job, as its `output.on_limit` says.
  void write(std::string_view bytes);
  // The same as a stream; one thread at a time. Each insertion is one write.
  [[nodiscard]] std::ostream& out();

  // How far it is, for people. The newest counts and is told at most ten times a second, so it may
  // be called often. `total` 0: not known. `message`: at most 256 bytes are shown.
  void progress(uint64_t done, uint64_t total, std::string_view message = {});

  // Requested when somebody stops the job, its timeout is over, its output meets a limit, or the
  // scheduler was not heard for too long. The handler is to return soon: nobody can end a thread
  // from outside.
  // What is registered with it (std::stop_callback) runs on the thread that watches over all jobs,
  // so it must not block.
  [[nodiscard]] std::stop_token stop_token() const;
  [[nodiscard]] bool stop_requested() const;
  // When its timeout is over; absent: never.
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> deadline() const;

 private:
  Run& run_;
};

// Runs one job on a thread of the library, which runs others before and after it. OK: it SUCCEEDED.
// An error or an exception: it FAILED with exit code 1 and that message. After a stop request it is
// STOPPED, after its timeout TIMED_OUT, whatever it returns.
using Handler = std::function<absl::Status(JobContext&)>;

struct HandlerOptions {
  uint32_t max_concurrent = 0;  // jobs of it at one time; 0: no bound but the worker's slots
};

// A program as a worker of a cluster: jobs that name one of its handlers (JobSpec.handler) run in
// it, on threads. It gets no other jobs; scripts are for `clusterd worker`, which may run beside it
// with a data_dir of its own.
//
// It gives the guarantees of docs/worker-protocol.md: an attempt is begun once, its end is kept on
// disk until the scheduler has it, and attempts that died with the process are said to have ended
// with EXIT_STATUS_UNKNOWN when it runs again.
//
// One thread at a time calls start, run and drain; shutdown may be called on any thread. One worker
// a process: it sets the log up and uses gRPC's default health service.
class Worker {
 public:
  explicit Worker(WorkerOptions options);
  // As shutdown().
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Offers a handler, before start(). A name that is there already replaces it.
  void handle(std::string name, Handler handler, HandlerOptions options = {});

  // Joins the cluster, in the background: it goes on trying while no scheduler is there.
  // INVALID_ARGUMENT names the option that is at fault; FAILED_PRECONDITION: no handler, started
  // twice, or data_dir is another process's. After an error another Worker is to be made.
  [[nodiscard]] absl::Status start();

  // start(), then serves until SIGTERM, SIGINT or shutdown(). The first signal drains, the next one
  // stops the jobs. To be called on the main thread before there are others: signals are blocked
  // from then on.
  [[nodiscard]] absl::Status run();

  // Takes no new jobs and returns when those that it has have ended, and the scheduler knows or a
  // second has passed: the ends are kept in data_dir.
  void drain();

  // Asks the handlers that run to return, waits for them, tells the scheduler and leaves the
  // cluster. A handler that never returns holds this up.
  void shutdown();

  // host:port where it is called; empty before start().
  [[nodiscard]] std::string address() const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace clusterd
