#include "scheduler/session_stream.h"

#include <utility>

#include "core/log.h"
#include "rpc/grpc_status.h"

namespace clusterd {
namespace {

// A worker that lets this many messages pile up does not read: its session is ended.
constexpr size_t kMostOutgoing = 10'000;

}  // namespace

absl::Status check_name(const Identity& caller, const std::string& name) {
  if (caller.is_anonymous() || name.empty() || caller.name == name) return absl::OkStatus();
  const std::string reason =
      caller.text() + " speaks for worker \"" + name + "\", whose name is not in its certificate";
  log_warning("scheduler", "call refused", {{"reason", reason}});
  return absl::PermissionDeniedError(reason);
}

SessionStream::SessionStream(SchedulerApp& app, AccessControl& access,
                             grpc::CallbackServerContext& context, Identity caller)
    : app_(app), caller_(std::move(caller)), id_(app.next_id()) {
  admitted_.emplace(access, context, "/clusterd.v1.ClusterService/Session");
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
  } else if (incoming_.has_hello() && incoming_.epoch() > 0 &&
             incoming_.epoch() != term->scheduler().epoch()) {
    close(absl::AbortedError("the scheduler's epoch has changed: register again"));
    return;
  } else if (incoming_.has_hello()) {
    const std::string& worker_id = incoming_.hello().identity().worker_id();
    const absl::Status named = check_name(caller_, term->scheduler().name_of_worker(worker_id));
    if (!named.ok()) return close(named);
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
  admitted_.reset();
  app_.with_term([this](Term* term) {
    if (term != nullptr && opened_) term->session_closed(id_);
    delete this;
  });
}

}  // namespace clusterd
