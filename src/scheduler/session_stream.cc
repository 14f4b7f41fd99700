#include "scheduler/session_stream.h"

#include <utility>

#include "rpc/grpc_status.h"

namespace clusterd {
namespace {

// A worker that lets this many messages pile up does not read: its session is ended.
constexpr size_t kMostOutgoing = 10'000;

}  // namespace

SessionStream::SessionStream(SchedulerApp& app) : app_(app), id_(app.next_id()) {
  StartRead(&incoming_);
}

void SessionStream::OnReadDone(bool ok) {
  app_.with_term([this, ok](Term* term) {
    if (ok) {
      received(term);
      return;
    }
    if (term != nullptr && opened_) term->session_closed(id_);
    close(absl::OkStatus());
  });
}

void SessionStream::received(Term* term) {
  if (finished_ || closing_) return;
  if (term == nullptr) {
    close(absl::UnavailableError("the scheduler is not ready"));
    return;
  }
  if (opened_) {
    term->session_message(id_, incoming_);
  } else if (incoming_.has_hello()) {
    opened_ = true;
    term->open_session(
        id_,
        SessionPort{.send = [this](v1::SessionResponse message) { send(std::move(message)); },
                    .close = [this](const absl::Status& status) { close(status); }},
        incoming_.hello());
  } else {
    close(absl::InvalidArgumentError("the first message must be the hello"));
    return;
  }
  if (!finished_) StartRead(&incoming_);
}

void SessionStream::send(v1::SessionResponse message) {
  if (finished_ || closing_) return;
  if (outgoing_.size() >= kMostOutgoing) {
    close(absl::ResourceExhaustedError("the worker does not read its session"));
    return;
  }
  outgoing_.push_back(std::move(message));
  if (!writing_) write_next();
}

void SessionStream::write_next() {
  writing_ = true;
  StartWrite(&outgoing_.front());
}

void SessionStream::OnWriteDone(bool ok) {
  app_.with_term([this, ok](Term*) {
    writing_ = false;
    outgoing_.pop_front();
    if (closing_) {
      close(*std::exchange(closing_, std::nullopt));
    } else if (ok && !finished_ && !outgoing_.empty()) {
      write_next();
    }
  });
}

void SessionStream::close(const absl::Status& status) {
  if (finished_) return;
  if (writing_) {  // Finish must not overtake a write
    closing_ = status;
    return;
  }
  finished_ = true;
  Finish(to_grpc(status));
}

void SessionStream::OnDone() {
  app_.with_term([this](Term* term) {
    if (term != nullptr && opened_) term->session_closed(id_);
    delete this;
  });
}

}  // namespace clusterd
