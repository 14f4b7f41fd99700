#include "gateway/event.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace clusterd::gateway {

namespace asio = boost::asio;

void Event::notify() {
  set_ = true;
  timer_.cancel();
}

asio::awaitable<void> Event::wait_until(std::chrono::steady_clock::time_point until) {
  while (!set_ && std::chrono::steady_clock::now() < until) {
    timer_.expires_at(until);
    (void)co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

asio::awaitable<void> Event::wait() {
  return wait_until(std::chrono::steady_clock::time_point::max());
}

}  // namespace clusterd::gateway
