#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <variant>

#include "core/config.h"
#include "gateway/client_ledger.h"
#include "gateway/connection.h"
#include "gateway/deadline.h"
#include "gateway/event.h"
#include "gateway/http_message.h"

namespace clusterd::gateway {

// Reads requests from a connection, one after the other, within the limits of the configuration.
// Owned by the connection's HttpSession; on its strand only. Bytes that a client sends ahead stay
// here for the next request.
class RequestReader {
 public:
  // The client is gone, or was idle for too long: nothing to answer.
  struct Closed {};
  // Answer this and end the connection: what follows cannot be understood.
  struct Fault {
    int status = 400;
    std::string detail;
  };
  using Outcome = std::variant<HttpRequest, Fault, Closed>;

  // All must outlive this.
  RequestReader(const asio::any_io_executor& strand, Connection& connection, Deadline& deadline,
                LedgerEntry& account, const SchedulerConfig::HttpServer& limits);

  asio::awaitable<Outcome> next();
  // Waits for a request or, after the last answer, for the end: nothing is lost by ending it.
  [[nodiscard]] bool is_idle() const { return idle_; }
  // No further byte is read; what waits for one ends Closed. What is being answered goes on.
  void end_reading();

  // Calls `on_gone` when the client closes the connection before stop_watch(). What it sends
  // meanwhile is kept, up to a bound; beyond it a close is not noticed.
  void start_watch(std::function<void()> on_gone);
  // Returns when the watch has ended; at once where there is none.
  asio::awaitable<void> stop_watch();
  [[nodiscard]] bool is_watching() const { return watching_; }

  // Reads and drops what the client still sends, so that it sees our last answer, for 2 s.
  asio::awaitable<void> drain();

 private:
  class Parser;

  [[nodiscard]] std::string_view unread() const;
  // False when the connection has ended or the deadline has passed.
  asio::awaitable<bool> read_more(size_t limit);
  void free_buffer();
  // The same for a request on its way in, which may be refused for the memory that it takes.
  asio::awaitable<bool> read_more_of(Parser& parser);
  asio::awaitable<Outcome> read_request(Parser& parser);
  asio::awaitable<bool> read_head(Parser& parser);
  asio::awaitable<bool> read_body(Parser& parser);
  asio::awaitable<bool> confirm_expectation(Parser& parser);
  // How long a body that has been coming for `since` may go on as it is.
  [[nodiscard]] std::chrono::nanoseconds time_left(const Parser& parser,
                                                   std::chrono::nanoseconds since) const;
  [[nodiscard]] Outcome fault_of(const Parser& parser) const;
  asio::awaitable<void> watch();

  const asio::any_io_executor strand_;
  Connection& connection_;
  Deadline& deadline_;
  const SchedulerConfig::HttpServer& limits_;
  LedgerEntry& account_;
  std::string buffer_;
  size_t begin_ = 0;  // of what is unread in buffer_
  bool ended_ = false;
  bool idle_ = true;
  bool first_ = true;
  std::function<void()> on_gone_;
  bool watching_ = false;
  bool watch_stops_ = false;
  Event watch_ended_;
};

}  // namespace clusterd::gateway
