#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>

#include "core/config.h"
#include "gateway/connection.h"
#include "gateway/dispatcher.h"

namespace clusterd::gateway {

// One client's connection: reads its requests one after the other and has each answered.
//
// Shared by the gateway's list of sessions, which tells them to stop, and by the coroutine run(),
// with whose return it ends. On its strand only, except where said.
class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  // `dispatcher` and `limits` outlive this.
  HttpSession(asio::any_io_executor strand, std::unique_ptr<Connection> connection,
              const Dispatcher& dispatcher, const SchedulerConfig::HttpServer& limits);

  // Serves the connection until its end.
  asio::awaitable<void> run();

  // Any thread. Lets a request that is being answered finish, unless it is a stream or a wait;
  // takes no further one.
  void wind_down();
  // Any thread. Ends at once.
  void abort();

 private:
  // False: the connection ends.
  asio::awaitable<bool> serve_one();
  asio::awaitable<void> refuse(RequestReader::Fault fault);

  const asio::any_io_executor strand_;
  const std::unique_ptr<Connection> connection_;
  const Dispatcher& dispatcher_;
  const SchedulerConfig::HttpServer& limits_;
  Deadline deadline_;
  RequestReader reader_;
  Cancellation cancellation_;
  bool stopping_ = false;
};

}  // namespace clusterd::gateway
