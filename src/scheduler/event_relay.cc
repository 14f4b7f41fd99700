#include "scheduler/event_relay.h"

#include <utility>

#include "rpc/grpc_status.h"

namespace clusterd {
namespace {

constexpr size_t kEventsAtOnce = 100;

}  // namespace

EventRelay::EventRelay(SchedulerApp& app, AccessControl& access,
                       grpc::CallbackServerContext& context, uint64_t since)
    : app_(app),
      admitted_(access, context, "/clusterd.v1.SchedulerService/WatchEvents"),
      since_(since),
      from_now_(since == 0) {
  wait();
}

void EventRelay::wait() {
  question_ = app_.next_id();
  app_.with_term([this](Term* term) {
    if (term == nullptr || cancelled_) {
      return Finish(to_grpc(cancelled_ ? absl::CancelledError("the caller is gone")
                                       : absl::UnavailableError("the scheduler is not ready")));
    }
    if (std::exchange(from_now_, false)) since_ = term->durable_event();
    // A watcher learns at once that it is heard, not with the first event.
    if (!std::exchange(greeted_, true)) StartSendInitialMetadata();
    term->wait_for_event(question_, since_, [this](const absl::Status& status) {
      if (!status.ok()) return Finish(to_grpc(status));
      app_.read([this] { read(); });
    });
  });
}

void EventRelay::read() {
  auto events = app_.store().read_events(since_, kEventsAtOnce);
  if (!events.ok()) return Finish(to_grpc(events.status()));
  unsent_.assign(std::make_move_iterator(events->begin()), std::make_move_iterator(events->end()));
  write_next();
}

void EventRelay::write_next() {
  if (unsent_.empty()) return wait();
  since_ = unsent_.front().seq();
  StartWrite(&unsent_.front());
}

void EventRelay::OnWriteDone(bool ok) {
  if (!ok) return Finish(to_grpc(absl::CancelledError("the caller is gone")));
  unsent_.pop_front();
  write_next();
}

void EventRelay::OnCancel() {
  cancelled_ = true;
  app_.abandon(question_);
}

}  // namespace clusterd
