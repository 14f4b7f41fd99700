#include "worker/output_streamer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/crc32c.h"
#include "core/field_error.h"
#include "rpc/grpc_status.h"
#include "worker/worker_core.h"
#include "worker/worker_files.h"

namespace clusterd {
namespace {

// Each frame costs every hop the same, whatever is in it; a reader that stalls holds a few of them.
constexpr uint64_t kFrameBytes = 256ULL << 10;

std::string name_of(const v1::AttemptKey& key) {
  return "job " + key.job_id() + " attempt " + std::to_string(key.attempt());
}

}  // namespace

OutputStreamer::OutputStreamer(WorkerCore& core, AccessControl& access,
                               grpc::CallbackServerContext& context,
                               v1::StreamAttemptRequest request, std::string folder)
    : core_(core),
      admitted_(access, context, "/clusterd.v1.WorkerService/StreamJob"),
      request_(std::move(request)),
      folder_(std::move(folder)),
      id_(core.next_reader_id()) {
  core_.look_up_output(this);
}

void OutputStreamer::OnDone() { delete this; }

void OutputStreamer::OnCancel() {
  cancelled_ = true;
  core_.cancel_wait(id_);
}

void OutputStreamer::fail(const absl::Status& status) { Finish(to_grpc(status)); }

bool OutputStreamer::is_served_by(const OutputView& view) const {
  if (cancelled_ || !view.known || view.ended) return true;
  if (!reader_) return view.settled;
  return view.length(stream_) > offset_;
}

void OutputStreamer::go_on(OutputView view) {
  if (cancelled_) return fail(absl::CancelledError("the reader has gone"));
  view_ = std::move(view);
  if (!view_.known) {
    if (auto status = recall(); !status.ok()) return fail(status);
  }
  if (reader_) return send_next();
  if (!view_.settled && request_.follow()) return wait();
  if (auto status = open(); !status.ok()) return fail(status);
  StartWrite(&message_);  // OutputStart
}

absl::Status OutputStreamer::recall() {
  auto kept = read_end(folder_);
  if (!kept.ok()) return kept.status();
  if (!*kept) {
    if (reader_) return absl::AbortedError(name_of(key()) + " was taken from this worker");
    return absl::NotFoundError(name_of(key()) + " is not known here");
  }
  view_.known = view_.settled = view_.ended = true;
  const auto& outputs = (*kept)->end().outputs();
  view_.outputs.assign(outputs.begin(), outputs.end());
  view_.separate = std::any_of(outputs.begin(), outputs.end(), [](const v1::OutputStream& output) {
    return output.stream() != v1::OutputStream::MERGED;
  });
  return absl::OkStatus();
}

absl::StatusOr<v1::OutputStream::Stream> OutputStreamer::choose_stream() const {
  const v1::OutputStream::Stream asked = request_.stream();
  if (view_.separate) {
    if (asked == v1::OutputStream::STDOUT || asked == v1::OutputStream::STDERR) return asked;
    return invalid_field("stream", name_of(key()) + " has two streams: name stdout or stderr");
  }
  if (asked == v1::OutputStream::STREAM_UNSPECIFIED || asked == v1::OutputStream::MERGED) {
    return v1::OutputStream::MERGED;
  }
  return invalid_field("stream", name_of(key()) + " has one stream, merged");
}

absl::Status OutputStreamer::open() {
  const auto stream = choose_stream();
  if (!stream.ok()) return stream.status();
  auto reader = OutputReader::open(folder_, *stream);
  if (!reader.ok()) return reader.status();
  const auto extent = reader->extent();
  if (!extent.ok()) return extent.status();
  const uint64_t length = std::max(extent->total_bytes(), view_.length(*stream));
  const uint64_t released = std::max(extent->first_kept(), view_.first_kept(*stream));
  offset_ = std::max(request_.offset(), released);
  if (request_.tail_lines() > 0) {
    const auto tail = reader->offset_of_tail(request_.tail_lines());
    if (!tail.ok()) return tail.status();
    offset_ = std::max(*tail, released);
  } else if (request_.offset() > length) {
    return absl::OutOfRangeError("offset " + std::to_string(request_.offset()) +
                                 " is above the length, " + std::to_string(length));
  }
  stream_ = *stream;
  stop_at_ = length;
  const uint64_t most = std::numeric_limits<uint64_t>::max() - offset_;
  limit_ = offset_ + (request_.max_bytes() == 0 ? most : std::min(most, request_.max_bytes()));
  reader_ = *std::move(reader);
  fill_start(released);
  return absl::OkStatus();
}

void OutputStreamer::fill_start(uint64_t released) {
  v1::OutputStart& start = *message_.mutable_start();
  start.set_attempt(key().attempt());
  start.set_stream(stream_);
  start.set_offset(offset_);
  start.set_released(released);
  start.set_written(std::max(stop_at_, view_.length(stream_)));
}

void OutputStreamer::jump_to(uint64_t offset) {
  offset_ = offset;
  fill_start(offset);
  StartWrite(&message_);  // OnWriteDone goes on from there
}

void OutputStreamer::OnWriteDone(bool ok) {
  if (!ok || cancelled_) return fail(absl::CancelledError("the reader has gone"));
  send_next();
}

void OutputStreamer::send_next() {
  const bool follow = request_.follow() && !view_.ended;
  const uint64_t end = view_.ended ? view_.length(stream_) : stop_at_;
  if (offset_ >= limit_ || (!follow && offset_ >= end)) return send_end();
  // On a full disk the log itself may not be able to say what was thrown away.
  if (view_.first_kept(stream_) > offset_) return jump_to(view_.first_kept(stream_));
  const uint64_t want = std::min(kFrameBytes, (follow ? limit_ : std::min(end, limit_)) - offset_);
  auto bytes = reader_->read(offset_, want);
  if (!bytes.ok()) return fail(bytes.status());
  if (bytes->offset > offset_) return jump_to(bytes->offset);
  if (bytes->data.empty()) {
    if (follow && view_.length(stream_) <= offset_) return wait();
    return fail(absl::DataLossError("the output of " + name_of(key()) + " ends at byte " +
                                    std::to_string(offset_) + ", before its reported length"));
  }
  v1::OutputFrame& frame = *message_.mutable_frame();
  frame.set_offset(bytes->offset);
  frame.set_crc32c(crc32c(bytes->data));
  offset_ = bytes->offset + bytes->data.size();
  frame.set_data(std::move(bytes->data));
  StartWrite(&message_);
}

void OutputStreamer::send_end() {
  v1::OutputEnd& end = *message_.mutable_end();
  end.set_total_bytes(view_.ended ? view_.length(stream_) : std::max(stop_at_, offset_));
  end.set_complete(view_.ended);
  StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
}

void OutputStreamer::wait() { core_.wait_for_output(this); }

}  // namespace clusterd
