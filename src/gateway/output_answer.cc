#include "gateway/output_answer.h"

#include <chrono>

#include "absl/strings/ascii.h"
#include "core/crc32c.h"
#include "gateway/problem.h"
#include "gateway/transcoder.h"

namespace clusterd::gateway {
namespace {

using std::chrono::steady_clock;

constexpr auto kKeepAlive = std::chrono::seconds(15);

bool accepts_events(const HttpRequest& request) {
  const std::string accept(request.header("accept").value_or(""));
  return absl::AsciiStrToLower(accept).find("text/event-stream") != std::string::npos;
}

HttpResponse head_for(const v1::OutputStart& start, bool events) {
  HttpResponse head;
  head.headers = {{"Clusterd-Output-Offset", std::to_string(start.offset())},
                  {"Clusterd-Output-Released", std::to_string(start.released())},
                  {"Clusterd-Output-Written", std::to_string(start.written())},
                  {"Clusterd-Attempt", std::to_string(start.attempt())},
                  {"Cache-Control", "no-store"}};
  if (events) {
    head.content_type = "text/event-stream";
    head.headers.emplace_back("X-Accel-Buffering", "no");
    return head;
  }
  head.content_type = "application/octet-stream";
  head.headers.emplace_back("Trailer", "Clusterd-Output-Length, Clusterd-Job-State");
  return head;
}

}  // namespace

OutputAnswer::OutputAnswer(const Exchange& exchange, const ServiceChannel& channel,
                           ErrorForm error_form, bool events)
    : exchange_(exchange),
      channel_(channel),
      error_form_(std::move(error_form)),
      wants_events_(events && accepts_events(exchange.request)) {}

asio::awaitable<void> OutputAnswer::run(const google::protobuf::MethodDescriptor& method,
                                        std::unique_ptr<v1::StreamJobRequest> request) {
  const auto last_id = exchange_.request.header("last-event-id");
  absl::Status status;
  if (wants_events_ && last_id && !last_id->empty()) status = resume_from(*last_id, *request);
  if (status.ok()) status = exchange_.watch_client();
  if (!status.ok()) {
    co_await exchange_.responder.send(error_form_(status, 0));
    co_return;
  }
  MessageStream stream =
      channel_.open(exchange_.strand, exchange_.caller, method, std::move(request));
  exchange_.cancellation.arm([&stream] { stream.cancel(); });
  co_await relay(stream);
  co_await stream.finish();
  exchange_.cancellation.disarm();
  co_await exchange_.reader.stop_watch();
  if (exchange_.responder.has_started()) co_return;
  status = stream.status().ok() ? absl::InternalError("the stream had no start") : stream.status();
  // A record whose output has been deleted is gone, which is more than a conflict.
  const int gone = absl::IsFailedPrecondition(status) ? 410 : 0;
  co_await exchange_.responder.send(error_form_(status, gone));
}

asio::awaitable<void> OutputAnswer::relay(MessageStream& stream) {
  Responder& responder = exchange_.responder;
  while (true) {
    const auto until = events_ ? steady_clock::now() + kKeepAlive : steady_clock::time_point::max();
    const MessageStream::Next next = co_await stream.next(until);
    Step step = Step::kGoOn;
    if (next == MessageStream::Next::kEnd) {
      step = Step::kBroken;  // OutputEnd comes before the end of a whole stream
    } else if (next == MessageStream::Next::kMessage) {
      step = co_await on_message(static_cast<const v1::StreamJobResponse&>(stream.message()));
    } else if (next == MessageStream::Next::kTimeout) {
      const bool sent = co_await responder.write(kSseKeepAlive);
      step = sent ? Step::kGoOn : Step::kBroken;
    }
    if (step == Step::kGoOn) continue;
    if (step == Step::kBroken) {
      stream.cancel();
      if (responder.has_started()) responder.cut();
    } else if (responder.is_head()) {
      stream.cancel();
    }
    co_return;
  }
}

asio::awaitable<OutputAnswer::Step> OutputAnswer::on_message(const v1::StreamJobResponse& message) {
  if (message.has_start() && !exchange_.responder.has_started()) {
    co_return co_await on_start(message.start());
  }
  if (!exchange_.responder.has_started()) co_return Step::kBroken;
  if (message.has_start()) co_return co_await on_released(message.start());
  if (message.has_frame()) co_return co_await on_frame(message.frame());
  if (message.has_end()) co_return co_await on_end(message.end());
  co_return Step::kBroken;
}

asio::awaitable<OutputAnswer::Step> OutputAnswer::on_start(const v1::OutputStart& start) {
  offset_ = start.offset();
  if (wants_events_) events_.emplace(start);
  const HttpResponse head = head_for(start, wants_events_);
  const bool sent = co_await exchange_.responder.start(head);
  if (!sent) co_return Step::kBroken;
  co_return exchange_.responder.is_head() ? Step::kDone : Step::kGoOn;
}

asio::awaitable<OutputAnswer::Step> OutputAnswer::on_released(const v1::OutputStart& start) {
  // Bare bytes cannot say that some are missing: the answer is cut, and the next one begins there.
  if (!events_ || start.offset() < offset_) co_return Step::kBroken;
  const std::string text = events_->on_released(start.offset());
  offset_ = start.offset();
  const bool sent = co_await exchange_.responder.write(text);
  co_return sent ? Step::kGoOn : Step::kBroken;
}

asio::awaitable<OutputAnswer::Step> OutputAnswer::on_frame(const v1::OutputFrame& frame) {
  const bool whole = frame.offset() == offset_ && frame.crc32c() == crc32c(frame.data());
  if (!whole) co_return Step::kBroken;
  offset_ += frame.data().size();
  bool sent = false;
  if (events_) {
    const std::string text = events_->on_bytes(frame.data());
    sent = co_await exchange_.responder.write(text);
  } else {
    sent = co_await exchange_.responder.write(frame.data());
  }
  co_return sent ? Step::kGoOn : Step::kBroken;
}

asio::awaitable<OutputAnswer::Step> OutputAnswer::on_end(const v1::OutputEnd& end) {
  HeaderList trailers;
  if (events_) {
    const auto json = to_json(end);
    if (!json.ok()) co_return Step::kBroken;
    const std::string text = events_->on_end(*json);
    const bool sent = co_await exchange_.responder.write(text);
    if (!sent) co_return Step::kBroken;
  } else {
    trailers = {{"Clusterd-Output-Length", std::to_string(end.total_bytes())},
                {"Clusterd-Job-State", v1::Job::State_Name(end.job_state())}};
  }
  co_await exchange_.responder.finish(trailers);
  co_return Step::kDone;
}

}  // namespace clusterd::gateway
