#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstdint>
#include <deque>

#include "clusterd/v1/scheduler_service.pb.h"
#include "rpc/access_control.h"
#include "scheduler/scheduler_app.h"

namespace clusterd {

// One watcher's stream of events: read from the store, some at a time, as fast as the watcher takes
// them; at the end it waits for the next commit that has one.
//
// Steps follow one another (wait, read, write, write, …, wait), each on whatever thread the last
// one ended; only OnCancel may come in between. Deletes itself in OnDone.
class EventRelay final : public grpc::ServerWriteReactor<v1::Event> {
 public:
  // Begins after event number `since`; 0: with what happens from now on.
  EventRelay(SchedulerApp& app, AccessControl& access, grpc::CallbackServerContext& context,
             uint64_t since);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { delete this; }

 private:
  void wait();
  void read();
  void write_next();

  SchedulerApp& app_;
  const AccessControl::Stream admitted_;
  uint64_t since_;
  bool from_now_;
  bool greeted_ = false;
  std::deque<v1::Event> unsent_;
  std::atomic<CallId> question_ = 0;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace clusterd
