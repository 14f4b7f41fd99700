#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "clusterd/v1/scheduler_service.pb.h"

namespace clusterd::gateway {

// One server-sent event (WHATWG HTML, "Server-sent events"); empty `id` and `event` are left out.
// Line breaks in `data` become several data lines.
[[nodiscard]] std::string sse_event(std::string_view id, std::string_view event,
                                    std::string_view data);

// What keeps an idle stream alive; no event for the reader.
inline constexpr std::string_view kSseKeepAlive = ": keep-alive\n\n";

// "merged", "stdout", "stderr".
[[nodiscard]] std::string_view stream_word(v1::OutputStream::Stream stream);

// Sets attempt, stream and offset of `request` from `<attempt>.<stream>.<offset>`, the id of an
// event of output. INVALID_ARGUMENT about `Last-Event-ID`, `request` is then unchanged.
[[nodiscard]] absl::Status resume_from(std::string_view id, v1::StreamJobRequest& request);

// Turns output bytes into events whose data are whole characters: a character that is cut by the
// end of a piece waits for the next one. Bytes that are no UTF-8 go out in base64 as
// `event: base64`. Owned by the coroutine that answers the request.
class OutputEvents {
 public:
  explicit OutputEvents(const v1::OutputStart& start);

  // The events for some bytes; empty while only a part of a character is there.
  [[nodiscard]] std::string on_bytes(std::string_view bytes);
  // `event: released`: the bytes from where the events are up to `offset` no longer exist.
  [[nodiscard]] std::string on_released(uint64_t offset);
  // The rest, and `event: end` with `end_json`.
  [[nodiscard]] std::string on_end(std::string_view end_json);

 private:
  [[nodiscard]] std::string event(std::string_view bytes);

  std::string prefix_;  // "1.merged."
  uint64_t offset_;     // after the last event
  std::string cut_;     // at most three bytes
};

}  // namespace clusterd::gateway
