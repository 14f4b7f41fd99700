#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <optional>
#include <string>

#include "clusterd/v1/worker_service.pb.h"
#include "rpc/access_control.h"
#include "worker/output_log.h"
#include "worker/output_view.h"

namespace clusterd {

class WorkerCore;

// Sends the output of one attempt to one reader: a frame is read from the log when the one before
// has gone, so a reader that stalls costs one frame. At the end of what is there it waits for
// WorkerCore to say that there is more.
//
// Made by the StreamJob call, destroys itself in OnDone. One step at a time: it is in the hands of
// the core thread, of the reading thread or of gRPC (a write under way), never of two. Only
// `cancelled_` is read and written by all.
class OutputStreamer final : public grpc::ServerWriteReactor<v1::StreamJobResponse> {
 public:
  // `core` and `access` outlive the server that made the call, whose `context` is.
  OutputStreamer(WorkerCore& core, AccessControl& access, grpc::CallbackServerContext& context,
                 v1::StreamAttemptRequest request, std::string folder);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  // Reading thread: goes on with the attempt as it is now.
  void go_on(OutputView view);

  [[nodiscard]] const v1::AttemptKey& key() const { return request_.key(); }
  [[nodiscard]] uint64_t id() const { return id_; }
  [[nodiscard]] bool cancelled() const { return cancelled_; }
  // There is something for it in `view`.
  [[nodiscard]] bool is_served_by(const OutputView& view) const;

 private:
  absl::Status open();
  absl::Status recall();
  absl::StatusOr<v1::OutputStream::Stream> choose_stream() const;
  void fill_start(uint64_t released);
  // Says that the bytes before `offset` are released, and goes on there.
  void jump_to(uint64_t offset);
  void send_next();
  void send_end();
  void wait();
  void fail(const absl::Status& status);

  WorkerCore& core_;
  const AccessControl::Stream admitted_;
  const v1::StreamAttemptRequest request_;
  const std::string folder_;
  const uint64_t id_;
  std::atomic<bool> cancelled_ = false;
  OutputView view_;
  std::optional<OutputReader> reader_;
  v1::OutputStream::Stream stream_ = v1::OutputStream::STREAM_UNSPECIFIED;
  uint64_t offset_ = 0;   // of the next byte
  uint64_t stop_at_ = 0;  // without follow: the length at the beginning
  uint64_t limit_ = 0;    // never beyond this offset
  v1::StreamJobResponse message_;
};

}  // namespace clusterd
