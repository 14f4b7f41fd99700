#include "client/output_assembler.h"

#include <utility>

#include "core/crc32c.h"

namespace clusterd {

OutputAssembler::OutputAssembler(v1::StreamJobRequest request)
    : request_(std::move(request)), position_(request_.offset()) {}

v1::StreamJobRequest OutputAssembler::next_request() {
  call_open_ = false;
  if (started_) {
    request_.set_offset(position_);
    request_.clear_tail_lines();  // where those lines began is known by now
  }
  return request_;
}

absl::Status OutputAssembler::accept(const v1::StreamJobResponse& message, const OutputSink& sink) {
  if (done_) return absl::DataLossError("output goes on after its end");
  if (message.has_start()) return accept_start(message.start());
  if (!call_open_) return absl::DataLossError("output does not begin with its start");
  if (message.has_frame()) return accept_frame(message.frame(), sink);
  if (message.has_end()) return accept_end(message.end());
  return absl::OkStatus();  // a kind of message that a newer scheduler knows
}

absl::Status OutputAssembler::accept_start(const v1::OutputStart& start) {
  const bool is_jump = call_open_ && start.offset() > position_;
  if (call_open_ && !is_jump) return absl::DataLossError("output begins twice");
  if (request_.attempt() != 0 && start.attempt() != request_.attempt()) {
    return absl::DataLossError("output is that of attempt " + std::to_string(start.attempt()) +
                               ", not " + std::to_string(request_.attempt()));
  }
  if (start.offset() > position_) {
    if (started_ && start.released() < start.offset()) {
      return absl::DataLossError("output goes on at byte " + std::to_string(start.offset()) +
                                 " instead of " + std::to_string(position_));
    }
    if (request_.tail_lines() == 0 || is_jump) skipped_ += start.offset() - position_;
  }
  // A call that starts below the position repeats bytes; accept_frame leaves them out.
  if (!started_ || start.offset() > position_) position_ = start.offset();
  started_ = start.attempt() != 0;
  call_open_ = true;
  request_.set_attempt(start.attempt());
  return absl::OkStatus();
}

absl::Status OutputAssembler::accept_frame(const v1::OutputFrame& frame, const OutputSink& sink) {
  std::string_view bytes = frame.data();
  if (crc32c(bytes) != frame.crc32c()) {
    return absl::DataLossError("output at byte " + std::to_string(frame.offset()) +
                               " has a wrong checksum");
  }
  if (frame.offset() > position_) {
    return absl::DataLossError("output from byte " + std::to_string(position_) + " to " +
                               std::to_string(frame.offset()) + " is missing");
  }
  const uint64_t known = position_ - frame.offset();
  if (known >= bytes.size()) return absl::OkStatus();
  bytes.remove_prefix(known);
  if (absl::Status status = sink(bytes); !status.ok()) return status;
  position_ += bytes.size();
  return absl::OkStatus();
}

absl::Status OutputAssembler::accept_end(const v1::OutputEnd& end) {
  call_open_ = false;
  // A follow that ends before its attempt was cut off in order, by a restart; it is called again.
  if (request_.follow() && !end.complete()) return absl::OkStatus();
  if (end.complete() && end.total_bytes() > position_) {
    return absl::DataLossError("output ends at byte " + std::to_string(position_) + " of " +
                               std::to_string(end.total_bytes()));
  }
  end_ = end;
  done_ = true;
  return absl::OkStatus();
}

}  // namespace clusterd
