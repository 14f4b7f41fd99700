#include "worker/session_stream.h"

#include <utility>

#include "rpc/grpc_status.h"

namespace clusterd {

SessionStream::SessionStream(SessionStreamObserver observer) : observer_(std::move(observer)) {}

void SessionStream::start(v1::ClusterService::StubInterface& stub) {
  stub.async()->Session(&context_, this);
  AddHold();  // writes come from the core thread, between reactions
  StartRead(&in_);
  StartCall();
}

void SessionStream::write(v1::SessionRequest request) {
  out_ = std::move(request);
  StartWrite(&out_);
}

void SessionStream::close() {
  if (std::exchange(closed_, true)) return;
  context_.TryCancel();
  RemoveHold();
}

void SessionStream::OnReadDone(bool ok) {
  if (!ok) return observer_.on_broken();
  observer_.on_message(std::move(in_));
  in_.Clear();
  StartRead(&in_);
}

void SessionStream::OnWriteDone(bool ok) {
  if (ok) observer_.on_written();
}

void SessionStream::OnDone(const grpc::Status& status) {
  auto on_done = std::move(observer_.on_done);  // the owner may destroy this while it runs
  on_done(from_grpc(status));
}

}  // namespace clusterd
