#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "scheduler/election.h"

namespace clusterd {

// Where calls are answered: here, or by the scheduler that leads, to which it keeps the channel.
//
// Owned by run_scheduler; outlives the servers. Any thread. One of the few classes with a mutex
// (see docs/architecture.md#threads): calls come on gRPC's threads, changes on the election's.
class LeaderLink {
 public:
  struct Channels {
    std::function<std::shared_ptr<grpc::Channel>(const std::string& address)> make;
    // Grows with each set of certificates of ours: the channel is made anew then.
    std::function<uint64_t()> generation;
  };

  struct Route {
    bool is_here = false;
    std::shared_ptr<grpc::Channel> channel;  // else; null: nobody leads
    uint64_t standing = 0;                   // grows with each change
  };

  // A call that is passed on, held by its reactor. Cancelled when another one leads.
  class Call {
   public:
    // The context is shared with whoever cancels the call, so that it outlives that.
    Call(LeaderLink& link, const Route& route, std::shared_ptr<grpc::ClientContext> context);
    ~Call() { end(); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    // It is answered. Whether it was cancelled here; once.
    bool end();

   private:
    LeaderLink& link_;
    uint64_t id_;  // 0: ended
  };

  explicit LeaderLink(Channels channels) : channels_(std::move(channels)) {}

  void stand(const Standing& standing);
  [[nodiscard]] Route route();

  // With nobody to pass a call on to; says when to ask again.
  [[nodiscard]] static absl::Status nobody_leads();
  // The same error, saying when to ask again.
  [[nodiscard]] static absl::Status ask_again(absl::Status unavailable);

 private:
  static constexpr size_t kConnections = 16;

  struct Open {
    std::shared_ptr<grpc::ClientContext> context;
    bool is_cancelled = false;
  };

  const Channels channels_;
  // Recursive: cancelling a call may run the end of its reactor on the same thread.
  std::recursive_mutex mutex_;
  Standing standing_;  // guarded by mutex_
  // guarded by mutex_; shared with calls under way. A connection carries so many streams only.
  std::array<std::shared_ptr<grpc::Channel>, kConnections> connections_;
  size_t next_connection_ = 0;      // guarded by mutex_
  uint64_t generation_ = 0;         // guarded by mutex_
  uint64_t standings_ = 0;          // guarded by mutex_
  std::map<uint64_t, Open> calls_;  // guarded by mutex_
  uint64_t last_call_ = 0;          // guarded by mutex_
};

}  // namespace clusterd
