#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/job.pb.h"
#include "clusterd/v1/output.pb.h"
#include "clusterd/v1/scheduler_service.pb.h"

namespace clusterd {

// Where the scheduler is, what it is shown, and how long calls may take.
struct ClientOptions {
  // "host:port", tried in order; the one that answered last is tried first.
  std::vector<std::string> addresses = {"127.0.0.1:50000"};
  // Sent with each call; needs `ca_file` where an address is not loopback.
  std::string token;
  std::string ca_file;   // empty: plaintext
  std::string crt_file;  // this and `key_file` together, for schedulers that tell callers by them
  std::string key_file;
  // Of a call that does not say, its repetitions included. Waiting, following and watching have no
  // bound unless the call gives one.
  std::chrono::nanoseconds deadline = std::chrono::seconds(30);
  // Of one call, while the scheduler answers UNAVAILABLE or nobody answers; at least 1.
  uint32_t max_attempts = 12;
  // How long waiting, following and watching go on without any scheduler.
  std::chrono::nanoseconds patience = std::chrono::minutes(10);
};

// The same from CLUSTERD_ADDR ("host:port,…"), CLUSTERD_TOKEN, CLUSTERD_CA, CLUSTERD_CERT and
// CLUSTERD_KEY; what is not set is as in ClientOptions.
[[nodiscard]] ClientOptions client_options_from_environment();

// Of one call.
struct CallOptions {
  // From now on, repetitions included. DEADLINE_EXCEEDED afterwards.
  std::optional<std::chrono::nanoseconds> deadline;
  // CANCELLED soon after a stop is requested.
  std::stop_token stop;
};

// Some bytes of a job's output.
struct OutputChunk {
  uint32_t attempt = 0;
  uint64_t offset = 0;     // of the first byte
  uint64_t skipped = 0;    // bytes right before it that were released before they could be read
  std::string_view bytes;  // valid during the call
};

// Which output is wanted.
struct FollowOptions {
  uint64_t offset = 0;      // first byte wanted
  uint32_t tail_lines = 0;  // this many lines before the end instead; 0: not used
  v1::OutputStream::Stream stream = v1::OutputStream::STREAM_UNSPECIFIED;  // of a separate job
  uint32_t attempt = 0;                                                    // 0: the newest
  bool follow = true;  // go on until the attempt has ended; else what is there now
};

// A cluster's client: starts jobs, stops them, waits for them, reads their output.
//
// Safe from many threads; one is enough for a program. Calls come in two forms: one that blocks
// and, with `_async`, one that takes a callback and returns at once. Callbacks, sinks too, run on
// threads of the library, one at a time for each call; they must not block for long, and neither
// make a blocking call of this class nor destroy the client. They never throw. The destructor
// cancels what is under way and waits for it.
//
// Calls that change something carry a request id, made here where the caller gives none, so that a
// repetition is no second job. Errors are the scheduler's own, as the schema documents them at each
// RPC; UNAVAILABLE means that no scheduler could be reached, or that what was asked for cannot be
// now, after `max_attempts` tries with growing pauses.
class Client {
 public:
  template <typename T>
  using Callback = std::function<void(absl::StatusOr<T>)>;
  // Takes output in order, each byte once. An error ends the reading and is its result.
  using ChunkSink = std::function<absl::Status(const OutputChunk&)>;
  using EventSink = std::function<absl::Status(const v1::Event&)>;

  // INVALID_ARGUMENT names the option that is at fault. Connects with the first call.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Client>> make(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Accepted and durable when this answers.
  [[nodiscard]] absl::StatusOr<v1::Job> start(v1::StartJobRequest request, CallOptions call = {});
  void start_async(v1::StartJobRequest request, Callback<v1::Job> done, CallOptions call = {});

  // The job as it is now.
  [[nodiscard]] absl::StatusOr<v1::Job> query(const std::string& job_id, CallOptions call = {});
  void query_async(const std::string& job_id, Callback<v1::Job> done, CallOptions call = {});

  // Durable when this answers; the end comes later.
  [[nodiscard]] absl::StatusOr<v1::Job> stop(v1::StopJobRequest request, CallOptions call = {});
  void stop_async(v1::StopJobRequest request, Callback<v1::Job> done, CallOptions call = {});

  // The job once it has ended, over restarts of scheduler and workers. Its end says how.
  [[nodiscard]] absl::StatusOr<v1::Job> wait(const std::string& job_id, CallOptions call = {});
  void wait_async(const std::string& job_id, Callback<v1::Job> done, CallOptions call = {});

  // One more attempt of a job that has ended.
  [[nodiscard]] absl::StatusOr<v1::Job> retry(v1::RetryJobRequest request, CallOptions call = {});
  void retry_async(v1::RetryJobRequest request, Callback<v1::Job> done, CallOptions call = {});

  // Pages: `page_token` of the next request is `next_page_token` of the answer before.
  [[nodiscard]] absl::StatusOr<v1::ListJobsResponse> list(v1::ListJobsRequest request,
                                                          CallOptions call = {});
  void list_async(v1::ListJobsRequest request, Callback<v1::ListJobsResponse> done,
                  CallOptions call = {});
  [[nodiscard]] absl::StatusOr<v1::ListJobsResponse> list_tasks(v1::ListTasksRequest request,
                                                                CallOptions call = {});
  void list_tasks_async(v1::ListTasksRequest request, Callback<v1::ListJobsResponse> done,
                        CallOptions call = {});
  [[nodiscard]] absl::StatusOr<v1::ListWorkersResponse> list_workers(CallOptions call = {});
  void list_workers_async(Callback<v1::ListWorkersResponse> done, CallOptions call = {});

  // Hands a job's output to `sink`; with `follow` until the attempt has ended. A cut is no end: it
  // goes on at the next byte. DATA_LOSS: bytes are missing or changed.
  [[nodiscard]] absl::StatusOr<v1::OutputEnd> follow(const std::string& job_id, ChunkSink sink,
                                                     FollowOptions options = {},
                                                     CallOptions call = {});
  void follow_async(const std::string& job_id, ChunkSink sink, Callback<v1::OutputEnd> done,
                    FollowOptions options = {}, CallOptions call = {});

  // Hands events after `since` to `sink`, each once and in order, over restarts of the scheduler;
  // 0: from now on. Ends with the sink's error or one of the call.
  [[nodiscard]] absl::Status watch(uint64_t since, EventSink sink, CallOptions call = {});
  void watch_async(uint64_t since, EventSink sink, std::function<void(absl::Status)> done,
                   CallOptions call = {});

 private:
  class Core;
  explicit Client(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace clusterd
