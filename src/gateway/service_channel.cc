#include "gateway/service_channel.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "gateway/event.h"
#include "rpc/grpc_status.h"

namespace clusterd::gateway {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using std::chrono::steady_clock;
using GenericStub = grpc::TemplatedGenericStub<Message, Message>;

constexpr auto kNaturalEnd = std::chrono::seconds(1);

std::string path_of(const MethodDescriptor& method) {
  return "/" + method.service()->full_name() + "/" + method.name();
}

// Shared by the coroutine that waits and by gRPC's callback.
struct UnaryCall {
  UnaryCall(const asio::any_io_executor& strand, MessagePtr its_response)
      : response(std::move(its_response)), done(strand) {}

  grpc::ClientContext context;
  MessagePtr response;
  grpc::Status status;
  Event done;
  std::atomic<bool> has_ended = false;  // gRPC may be taking it down at this moment
};

}  // namespace

// Kept by its MessageStream and, through `self_`, by gRPC until OnDone.
class MessageStream::Call final : public grpc::ClientBidiReactor<Message, Message>,
                                  public std::enable_shared_from_this<MessageStream::Call> {
 public:
  Call(const asio::any_io_executor& its_strand, MessagePtr its_request, MessagePtr response)
      : strand(its_strand),
        request(std::move(its_request)),
        message(std::move(response)),
        changed(its_strand) {}

  void begin(GenericStub& stub, const std::string& path) {
    self_ = shared_from_this();
    stub.PrepareBidiStreamingCall(&context, path, {}, this);
    AddHold();  // reads are started from the strand
    StartWriteLast(request.get(), {});
    StartCall();
  }
  void read() {
    if (reading || has_message || at_end) return;
    reading = true;
    StartRead(message.get());
  }
  void release() {
    if (!std::exchange(released_, true)) RemoveHold();
  }
  asio::awaitable<void> await_change(steady_clock::time_point until) {
    changed.clear();
    co_await changed.wait_until(until);
  }

  // All below on the strand.
  const asio::any_io_executor strand;
  grpc::ClientContext context;
  const MessagePtr request;
  const MessagePtr message;
  Event changed;
  absl::Status status;
  bool has_head = false;
  bool head_told = false;
  bool reading = false;
  bool has_message = false;
  bool at_end = false;
  bool done = false;

 private:
  void OnReadInitialMetadataDone(bool ok) override {
    asio::post(strand, [call = shared_from_this(), ok] {
      call->has_head = ok;
      call->changed.notify();
    });
  }
  void OnReadDone(bool ok) override {
    asio::post(strand, [call = shared_from_this(), ok] {
      call->reading = false;
      (ok ? call->has_message : call->at_end) = true;
      call->changed.notify();
    });
  }
  void OnDone(const grpc::Status& outcome) override {
    asio::post(strand, [call = std::move(self_), outcome] {
      call->status = from_grpc(outcome);
      call->done = true;
      call->changed.notify();
    });
  }

  bool released_ = false;
  std::shared_ptr<Call> self_;
};

asio::awaitable<MessageStream::Next> MessageStream::next(steady_clock::time_point until) {
  Call& call = *call_;
  call.read();
  while (call.reading && !(call.has_head && !call.head_told) && steady_clock::now() < until) {
    co_await call.await_change(until);
  }
  if (call.has_message) {
    call.has_message = false;
    call.head_told = true;
    co_return Next::kMessage;
  }
  if (call.at_end) {
    call.release();
    while (!call.done) co_await call.await_change(steady_clock::time_point::max());
    co_return Next::kEnd;
  }
  if (call.has_head && !call.head_told) {
    call.head_told = true;
    co_return Next::kHead;
  }
  co_return Next::kTimeout;
}

const Message& MessageStream::message() const { return *call_->message; }
const absl::Status& MessageStream::status() const { return call_->status; }
void MessageStream::cancel() {
  // A call that has come to its end is left alone: gRPC may be taking it down at this moment.
  if (!call_->at_end) call_->context.TryCancel();
}

asio::awaitable<void> MessageStream::finish() {
  const auto until = steady_clock::now() + kNaturalEnd;
  while (!call_->at_end && steady_clock::now() < until) co_await next(until);
  if (!call_->at_end) cancel();
  Next last = Next::kTimeout;
  while (last != Next::kEnd) last = co_await next(steady_clock::time_point::max());
}

struct ServiceChannel::Stub {
  GenericStub stub;
};

ServiceChannel::ServiceChannel(std::shared_ptr<grpc::Channel> channel)
    : stub_(new Stub{GenericStub(std::move(channel))}) {}

ServiceChannel::~ServiceChannel() = default;

asio::awaitable<absl::StatusOr<MessagePtr>> ServiceChannel::call(const StatedCaller& caller,
                                                                 const MethodDescriptor& method,
                                                                 const Message& request,
                                                                 std::chrono::nanoseconds timeout,
                                                                 Cancellation& cancellation,
                                                                 const HeaderList& metadata) const {
  const asio::any_io_executor strand = co_await asio::this_coro::executor;
  const auto call = std::make_shared<UnaryCall>(strand, new_message(*method.output_type()));
  state_caller(caller, call->context);
  call->context.set_deadline(
      std::chrono::system_clock::now() +
      std::chrono::duration_cast<std::chrono::system_clock::duration>(timeout));
  for (const auto& [name, value] : metadata) call->context.AddMetadata(name, value);
  stub_->stub.UnaryCall(
      &call->context, path_of(method), {}, &request, call->response.get(),
      // Nothing of the call stays with gRPC, whose threads may outlive ours.
      [call, strand = asio::any_io_executor(strand)](grpc::Status status) mutable {
        call->has_ended = true;
        const asio::any_io_executor back = std::exchange(strand, {});
        asio::post(back, [call = std::move(call), status = std::move(status)]() mutable {
          call->status = std::move(status);
          call->done.notify();
        });
      });
  cancellation.arm([call] {
    if (!call->has_ended) call->context.TryCancel();
  });
  co_await call->done.wait();
  cancellation.disarm();
  if (cancellation.is_cancelled() && call->status.error_code() == grpc::StatusCode::CANCELLED) {
    // Nobody hears it whose connection has gone; who is still there did not cancel anything.
    co_return absl::UnavailableError("the scheduler is stopping: outcome unknown, repeat the call");
  }
  if (!call->status.ok()) co_return from_grpc(call->status);
  co_return std::move(call->response);
}

MessageStream ServiceChannel::open(const asio::any_io_executor& strand, const StatedCaller& caller,
                                   const MethodDescriptor& method, MessagePtr request) const {
  const auto call = std::make_shared<MessageStream::Call>(strand, std::move(request),
                                                          new_message(*method.output_type()));
  state_caller(caller, call->context);
  call->begin(stub_->stub, path_of(method));
  return MessageStream(call);
}

}  // namespace clusterd::gateway
