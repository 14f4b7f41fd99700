#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "clusterd/v1/output.pb.h"
#include "clusterd/v1/scheduler_service.pb.h"

namespace clusterd {

// Takes the bytes of one attempt's output. An error ends the reading and is given back.
using OutputSink = std::function<absl::Status(std::string_view bytes)>;

// Puts one output stream together from as many calls as it takes: knows where it stands, asks for
// the rest, checks offsets and checksums, hands each byte on once.
//
// Owned by the reader of one stream; one thread. It is done when `is_done`; what a call brought
// after an error of `accept` is not handed on.
class OutputAssembler {
 public:
  explicit OutputAssembler(v1::StreamJobRequest request);

  // What the next call must ask for. Begins a call: its first message must be a start.
  [[nodiscard]] v1::StreamJobRequest next_request();

  // One message of the call. DATA_LOSS: bytes are missing or changed, or the other side does not
  // keep the protocol; else the sink's error.
  [[nodiscard]] absl::Status accept(const v1::StreamJobResponse& message, const OutputSink& sink);

  // With `follow`: the attempt has ended and every byte was handed on. Without: all that there
  // was when the call was made.
  [[nodiscard]] bool is_done() const { return done_; }
  // A call has begun to answer.
  [[nodiscard]] bool has_started() const { return started_; }
  [[nodiscard]] uint64_t position() const { return position_; }  // offset of the next byte
  // Bytes that were released before they could be read.
  [[nodiscard]] uint64_t skipped() const { return skipped_; }
  // Whose; 0: the job ended without an attempt.
  [[nodiscard]] uint32_t attempt() const { return request_.attempt(); }
  [[nodiscard]] const std::string& job_id() const { return request_.job_id(); }
  [[nodiscard]] bool is_follow() const { return request_.follow(); }
  [[nodiscard]] const v1::OutputEnd& end() const { return end_; }

 private:
  absl::Status accept_start(const v1::OutputStart& start);
  absl::Status accept_frame(const v1::OutputFrame& frame, const OutputSink& sink);
  absl::Status accept_end(const v1::OutputEnd& end);

  v1::StreamJobRequest request_;
  v1::OutputEnd end_;
  uint64_t position_ = 0;
  uint64_t skipped_ = 0;
  bool started_ = false;    // in any call
  bool call_open_ = false;  // in this one
  bool done_ = false;
};

}  // namespace clusterd
