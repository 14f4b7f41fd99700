#pragma once

#include <grpcpp/channel.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/cancellation.h"
#include "gateway/http_message.h"
#include "gateway/transcoder.h"
#include "google/protobuf/descriptor.h"
#include "rpc/stated_caller.h"

namespace clusterd::gateway {

namespace asio = boost::asio;

// The reading side of one server-streaming call. One message at a time is read ahead of its
// taker, and the next only when the taker comes back, so a slow one slows the service down.
//
// Owned by the coroutine that reads; on its strand only. Ends with kEnd or finish(), one of which
// must have come before it goes.
class MessageStream {
 public:
  enum class Next {
    kHead,     // once, before the first message: the service has taken the call on
    kMessage,  // message() has it
    kTimeout,  // nothing came
    kEnd,      // status() has the outcome
  };
  class Call;  // shared with gRPC until the call's end

  explicit MessageStream(std::shared_ptr<Call> call) : call_(std::move(call)) {}

  // Waits for the next of it until `until`.
  asio::awaitable<Next> next(std::chrono::steady_clock::time_point until);
  // Valid after kMessage until the next next().
  [[nodiscard]] const google::protobuf::Message& message() const;
  [[nodiscard]] const absl::Status& status() const;
  void cancel();
  // Gives the call a moment to end by itself, then cancels it; returns when it has ended.
  asio::awaitable<void> finish();

 private:
  std::shared_ptr<Call> call_;
};

// Calls the methods of a service by their descriptors. Any thread; owned by the Dispatcher, and
// outlives every call.
class ServiceChannel {
 public:
  explicit ServiceChannel(std::shared_ptr<grpc::Channel> channel);
  ~ServiceChannel();

  // Makes one call for `caller`, with this metadata, and returns its answer or its error, with
  // details. `cancellation` ends it early (CANCELLED). DEADLINE_EXCEEDED after `timeout`.
  asio::awaitable<absl::StatusOr<MessagePtr>> call(const StatedCaller& caller,
                                                   const google::protobuf::MethodDescriptor& method,
                                                   const google::protobuf::Message& request,
                                                   std::chrono::nanoseconds timeout,
                                                   Cancellation& cancellation,
                                                   const HeaderList& metadata) const;

  // Opens a server stream for `caller`. It has no deadline: it ends with its reader.
  [[nodiscard]] MessageStream open(const asio::any_io_executor& strand, const StatedCaller& caller,
                                   const google::protobuf::MethodDescriptor& method,
                                   MessagePtr request) const;

 private:
  struct Stub;
  std::unique_ptr<Stub> stub_;
};

}  // namespace clusterd::gateway
