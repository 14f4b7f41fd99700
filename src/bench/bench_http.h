#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/stop_fd.h"
#include "core/config.h"

namespace clusterd::bench {

// Where a scheduler's HTTP API is, and what it is shown.
struct HttpEndpoint {
  std::string addr;  // host:port
  bool use_tls = false;
  std::string token;
  std::string ca_file;  // with use_tls; empty: the machine's authorities
  std::string crt_file;
  std::string key_file;

  // "host:port", "http://host:port" or "https://host:port", with the token and files of `client`.
  // INVALID_ARGUMENT: not of this form, or the token would go over an open network.
  [[nodiscard]] static absl::StatusOr<HttpEndpoint> parse(const std::string& text,
                                                          const ClientConfig& client);
};

// One keep-alive HTTP/1.1 connection that blocks, with a deadline for each call.
//
// One thread at a time. After an error, which says CANCELLED where a stop was requested, nothing
// but the destructor may follow.
class HttpConnection {
 public:
  struct Answer {
    unsigned status = 0;
    std::string location;  // the header
    std::string body;      // of a stream that was good: empty
  };
  using Sink = std::function<void(std::string_view)>;

  // Returns when the connection, with TLS its handshake too, is there. `endpoint` and `stop` must
  // outlive it.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<HttpConnection>> open(
      const HttpEndpoint& endpoint, const StopFd& stop);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  [[nodiscard]] absl::StatusOr<Answer> get(const std::string& target,
                                           std::chrono::nanoseconds timeout);
  // Is not ended by a stop request: nobody would know whether it had been carried out.
  [[nodiscard]] absl::StatusOr<Answer> post(const std::string& target, const std::string& json,
                                            std::chrono::nanoseconds timeout);
  // GET whose body goes to `sink` as it arrives, where the status is 200; else it is the answer's.
  [[nodiscard]] absl::StatusOr<Answer> stream(const std::string& target, const Sink& sink,
                                              std::chrono::nanoseconds timeout);

 private:
  class Socket;
  HttpConnection(const HttpEndpoint& endpoint, std::unique_ptr<Socket> socket);
  [[nodiscard]] absl::StatusOr<Answer> call(std::string_view method, const std::string& target,
                                            const std::string& json, const Sink& sink,
                                            std::chrono::nanoseconds timeout);
  [[nodiscard]] absl::StatusOr<Answer> read_answer(const Sink& sink,
                                                   std::chrono::steady_clock::time_point deadline);

  const std::string headers_;  // that all requests have
  std::unique_ptr<Socket> socket_;
  std::string buffer_;
  size_t buffered_ = 0;  // bytes in buffer_ that are not parsed yet
};

// The error that an answer of another status than `expected` stands for, with what the server says.
[[nodiscard]] absl::Status check_status(const HttpConnection::Answer& answer, unsigned expected);

}  // namespace clusterd::bench
