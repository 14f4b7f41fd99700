#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "core/config.h"
#include "gateway/client_ledger.h"
#include "gateway/connection.h"
#include "gateway/dispatcher.h"
#include "gateway/http_peer.h"

namespace clusterd::gateway {

// One client's connection: reads its requests one after the other and has each answered.
//
// Shared by the gateway's list of sessions, which tells them to stop, and by the coroutine run(),
// with whose return it ends. On its strand only, except where said.
class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  // It is `id` in the ledger already. All references outlive this.
  HttpSession(asio::any_io_executor strand, std::unique_ptr<Connection> connection, HttpPeer peer,
              const Dispatcher& dispatcher, ClientLedger& ledger, uint64_t id,
              const SchedulerConfig::HttpServer& limits);

  // Serves the connection until its end.
  asio::awaitable<void> run();

  // Any thread. Lets a request that is being answered finish, unless it is a stream or a wait;
  // takes no further one.
  void wind_down();
  // Any thread. Another client needs its place: ends unless a whole request has come.
  void evict();
  // Any thread. Ends at once where the client's certificate is no longer good.
  void end_if_revoked();
  // Any thread. Ends at once.
  void abort();

 private:
  // False: the connection ends.
  asio::awaitable<bool> serve_one();
  // Whether the connection can take another request.
  asio::awaitable<bool> serve(HttpRequest request);
  asio::awaitable<void> refuse(RequestReader::Fault fault);

  const asio::any_io_executor strand_;
  const std::unique_ptr<Connection> connection_;
  HttpPeer peer_;
  const Dispatcher& dispatcher_;
  const SchedulerConfig::HttpServer& limits_;
  LedgerEntry account_;
  Deadline deadline_;
  RequestReader reader_;
  Cancellation cancellation_;
  bool stopping_ = false;
};

}  // namespace clusterd::gateway
