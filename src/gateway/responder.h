#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include "core/config.h"
#include "gateway/connection.h"
#include "gateway/deadline.h"
#include "gateway/http_message.h"

namespace clusterd::gateway {

// Writes the answer to one request: whole with send(), or as a stream with start(), write() and
// finish(). Owned by the HttpSession for the time of one request; on its strand only.
class Responder {
 public:
  // `limits` outlives this. Readers of streams are allowed to be slow, but not to stand still for
  // longer than its stream_write_timeout.
  Responder(Connection& connection, Deadline& deadline, const HttpRequest& request,
            const SchedulerConfig::HttpServer& limits);

  asio::awaitable<void> send(HttpResponse response);

  // The head of a stream; the body of `head` is not used. False: the client is gone.
  asio::awaitable<bool> start(const HttpResponse& head);
  // Some bytes of it, which must stay until this returns. False: the client is gone.
  asio::awaitable<bool> write(std::string_view bytes);
  // Its regular end.
  asio::awaitable<void> finish(const HeaderList& trailers);
  // Ends it so that the client can tell that something is missing.
  void cut();

  [[nodiscard]] bool has_started() const { return started_; }
  // Of the answer; 0 before it.
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] bool is_head() const { return is_head_; }
  // The connection can take another request.
  [[nodiscard]] bool keeps_alive() const { return keep_alive_; }
  void end_connection() { keep_alive_ = false; }

 private:
  [[nodiscard]] std::string head_of(const HttpResponse& response) const;
  asio::awaitable<bool> transfer(std::span<const asio::const_buffer> buffers,
                                 std::chrono::nanoseconds timeout);

  Connection& connection_;
  Deadline& deadline_;
  const SchedulerConfig::HttpServer& limits_;
  const int version_;
  const bool is_head_;
  bool keep_alive_;
  bool started_ = false;
  int status_ = 0;
};

}  // namespace clusterd::gateway
