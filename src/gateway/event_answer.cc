#include "gateway/event_answer.h"

#include <chrono>

#include "gateway/field_text.h"
#include "gateway/problem.h"
#include "gateway/sse.h"

namespace clusterd::gateway {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Next = MessageStream::Next;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kKeepAlive = std::chrono::seconds(15);
// A call that fails at once reports its head too, and its error right behind it.
constexpr std::chrono::milliseconds kHeadToError(100);

absl::Status set_since(const HttpRequest& request, Message& message) {
  const auto id = request.header("last-event-id");
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName("since");
  if (!id || id->empty() || !field) return absl::OkStatus();
  return set_field_from_text(message, {field}, "Last-Event-ID", *id);
}

std::string event_of(const Message& message) {
  const auto json = to_json(message);
  if (!json.ok()) return "";
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName("seq");
  const bool numbered = field && field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
  const std::string id =
      numbered ? std::to_string(message.GetReflection()->GetUInt64(message, field)) : "";
  return sse_event(id, "", *json);
}

HttpResponse event_stream_head() {
  HttpResponse head;
  head.content_type = "text/event-stream";
  head.headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
  return head;
}

// Passes on what comes until an end; false where the answer is not whole.
asio::awaitable<bool> relay(const Exchange& exchange, MessageStream& stream) {
  Responder& responder = exchange.responder;
  std::chrono::milliseconds patience = kKeepAlive;
  while (true) {
    const Next next = co_await stream.next(steady_clock::now() + patience);
    patience = next == Next::kHead ? kHeadToError : kKeepAlive;
    if (next == Next::kEnd) co_return stream.status().ok();
    if (next == Next::kHead) continue;
    if (!responder.has_started()) {
      const bool started = co_await responder.start(event_stream_head());
      if (!started || responder.is_head()) co_return started;
    }
    const std::string text =
        next == Next::kMessage ? event_of(stream.message()) : std::string(kSseKeepAlive);
    const bool sent = co_await responder.write(text);
    if (!sent || text.empty()) co_return false;
  }
}

}  // namespace

asio::awaitable<void> answer_with_events(const Exchange& exchange, const ServiceChannel& channel,
                                         const google::protobuf::MethodDescriptor& method,
                                         MessagePtr request) {
  Responder& responder = exchange.responder;
  absl::Status status = set_since(exchange.request, *request);
  if (status.ok()) status = exchange.watch_client();
  if (!status.ok()) {
    co_await responder.send(problem(status));
    co_return;
  }
  MessageStream stream = channel.open(exchange.strand, exchange.caller, method, std::move(request));
  exchange.cancellation.arm([&stream] { stream.cancel(); });
  const bool whole = co_await relay(exchange, stream);
  stream.cancel();
  co_await stream.finish();
  exchange.cancellation.disarm();
  co_await exchange.reader.stop_watch();
  if (!responder.has_started() && !whole) {
    co_await responder.send(problem(stream.status()));
  } else if (!whole) {
    responder.cut();
  } else if (!responder.is_head()) {
    if (!responder.has_started()) co_await responder.start(event_stream_head());
    co_await responder.finish({});
  }
}

}  // namespace clusterd::gateway
