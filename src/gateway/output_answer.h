#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "clusterd/v1/scheduler_service.pb.h"
#include "gateway/exchange.h"
#include "gateway/service_channel.h"
#include "gateway/sse.h"

namespace clusterd::gateway {

// Answers one request with a job's output: raw bytes with trailers, or server-sent events where
// the request accepts them. Each piece is asked for only when the one before is with the client,
// so a client that stops reading holds one message here. Owned by the coroutine that runs it; on
// the session's strand only.
class OutputAnswer {
 public:
  // How an error looks that comes before the first byte; `http_status`: 0, or instead of its own.
  using ErrorForm = std::function<HttpResponse(const absl::Status&, int http_status)>;

  // All outlive this. `events`: server-sent events are allowed.
  OutputAnswer(const Exchange& exchange, const ServiceChannel& channel, ErrorForm error_form,
               bool events);

  asio::awaitable<void> run(const google::protobuf::MethodDescriptor& method,
                            std::unique_ptr<v1::StreamJobRequest> request);

 private:
  // What becomes of the stream after one message.
  enum class Step { kGoOn, kDone, kBroken };

  asio::awaitable<void> relay(MessageStream& stream);
  asio::awaitable<Step> on_message(const v1::StreamJobResponse& message);
  asio::awaitable<Step> on_start(const v1::OutputStart& start);
  asio::awaitable<Step> on_released(const v1::OutputStart& start);
  asio::awaitable<Step> on_frame(const v1::OutputFrame& frame);
  asio::awaitable<Step> on_end(const v1::OutputEnd& end);

  const Exchange& exchange_;
  const ServiceChannel& channel_;
  const ErrorForm error_form_;
  const bool wants_events_;
  std::optional<OutputEvents> events_;  // since the start of a stream of events
  uint64_t offset_ = 0;                 // of the next byte
};

}  // namespace clusterd::gateway
