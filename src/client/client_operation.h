#pragma once

#include <grpcpp/client_context.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "client/call_timer.h"
#include "client/client_channels.h"
#include "clusterd/client.h"

namespace clusterd {

// What the operations of one Client share. Outlives them: wait_for_operations() comes first.
struct ClientShared {
  ClientOptions options;
  std::unique_ptr<ClientChannels> channels;
  CallTimer timer;
  std::stop_source closing;

  void wait_for_operations();

  std::mutex mutex;
  std::condition_variable none_left;
  size_t operations = 0;  // guarded by mutex
};

// What a restart in between looks like from here. INTERNAL and UNKNOWN are what gRPC makes of a
// connection that dies within a stream.
[[nodiscard]] bool is_interruption(absl::StatusCode code);

// One call of the library, over as many calls of gRPC as it takes: when it ends, how long it
// pauses, and how it is cancelled.
//
// Shared by what is under way: a call of gRPC, or a task of the timer; never both. Has a mutex (see
// docs/architecture.md#threads), because a stop may be requested on any thread.
class ClientOperation : public std::enable_shared_from_this<ClientOperation> {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `deadline` absent: none.
  ClientOperation(ClientShared& shared, std::optional<std::chrono::nanoseconds> deadline);
  virtual ~ClientOperation();
  ClientOperation(const ClientOperation&) = delete;
  ClientOperation& operator=(const ClientOperation&) = delete;

 protected:
  // From now on a request to stop, of the caller's or of the client's end, ends it early.
  void obey(const std::stop_token& stop);
  // No request to stop reaches it any more. Before the result is told.
  void settle();
  // The context of the next call of gRPC, which ends by then; null: it was stopped.
  [[nodiscard]] std::shared_ptr<grpc::ClientContext> next_context(std::chrono::nanoseconds limit);
  void call_ended();
  // Calls `again` after a pause that grows, with jitter; at once where a stop is requested.
  void pause(std::function<void()> again);
  void reset_pause() { pause_ = kFirstPause; }

  [[nodiscard]] bool is_stopped();
  [[nodiscard]] bool is_late() const { return deadline_ && Clock::now() >= *deadline_; }
  // Time that is left; `longest` where there is no end.
  [[nodiscard]] std::chrono::nanoseconds left(std::chrono::nanoseconds longest) const;
  // Why it ends early; `last`: what the last call said.
  [[nodiscard]] absl::Status early_end(const absl::Status& last);

  using Clock = std::chrono::steady_clock;
  ClientShared& shared_;

 private:
  static constexpr std::chrono::milliseconds kFirstPause{50};
  static constexpr std::chrono::milliseconds kLongestPause{2000};
  void stop();

  const std::optional<Time> deadline_;
  std::chrono::milliseconds pause_ = kFirstPause;
  std::minstd_rand random_;
  std::mutex mutex_;
  bool stopped_ = false;                          // guarded by mutex_
  std::shared_ptr<grpc::ClientContext> context_;  // guarded by mutex_; of the call under way
  uint64_t task_ = 0;                             // guarded by mutex_; of the pause under way
  std::optional<std::stop_callback<std::function<void()>>> on_stop_;
  std::optional<std::stop_callback<std::function<void()>>> on_closing_;
};

}  // namespace clusterd
