#include "gateway/deadline.h"

namespace clusterd::gateway {

using std::chrono::steady_clock;

Deadline::Deadline(const asio::any_io_executor& strand, Connection& connection)
    : state_(std::make_shared<State>(strand, connection)) {}

Deadline::~Deadline() { end(); }

void Deadline::end() {
  if (!state_->connection) return;
  state_->connection = nullptr;
  state_->timer.cancel();
}

void Deadline::set(std::chrono::nanoseconds timeout) {
  state_->passed = false;
  state_->until = steady_clock::now() + timeout;
  // A timer that goes off too early finds the later time and goes on, which saves arming it anew
  // for each request.
  if (!state_->armed || state_->timer.expiry() > state_->until) arm(state_);
}

void Deadline::clear() {
  state_->passed = false;
  state_->until = steady_clock::time_point::max();
}

void Deadline::arm(const std::shared_ptr<State>& state) {
  state->armed = true;
  state->timer.expires_at(state->until);
  state->timer.async_wait([state](const boost::system::error_code& error) {
    if (error || !state->connection) return;  // replaced, or the owner has ended
    state->armed = false;
    if (state->until == steady_clock::time_point::max()) return;
    if (steady_clock::now() < state->until) {
      arm(state);
      return;
    }
    state->passed = true;
    state->connection->cancel();
  });
}

}  // namespace clusterd::gateway
