#include "worker/session_stream.h"

#include <utility>

#include "rpc/grpc_status.h"

namespace clusterd {

ClientSessionStream::ClientSessionStream(SessionStreamObserver observer)
    : observer_(std::move(observer)) {}

void ClientSessionStream::start(v1::ClusterService::StubInterface& stub) {
  stub.async()->Session(&context_, this);
  AddHold();  // writes come from the core thread, between reactions
  StartRead(&in_);
  StartCall();
}

void ClientSessionStream::write(v1::SessionRequest request) {
  out_ = std::move(request);
  StartWrite(&out_);
}

void ClientSessionStream::close() {
  if (std::exchange(closed_, true)) return;
  context_.TryCancel();
  RemoveHold();
}

void ClientSessionStream::OnReadDone(bool ok) {
  if (!ok) return observer_.on_broken();
  observer_.on_message(std::move(in_));
  in_.Clear();
  StartRead(&in_);
}

void ClientSessionStream::OnWriteDone(bool ok) {
  if (ok) observer_.on_written();
}

void ClientSessionStream::OnDone(const grpc::Status& status) {
  auto on_done = std::move(observer_.on_done);  // the owner may destroy this while it runs
  on_done(from_grpc(status));
}

}  // namespace clusterd
