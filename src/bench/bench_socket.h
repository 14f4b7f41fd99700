#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/bench_http.h"

namespace clusterd::bench {

// The bytes of an HttpConnection, over TCP or TLS. Waits no longer than to a deadline, and no
// longer than until a stop is requested, where it heeds that.
class HttpConnection::Socket {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  explicit Socket(const StopFd& stop) : stop_(stop) {}
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // Whether a stop request ends what waits from now on; at first it does.
  void set_heeds_stop(bool heeds) { heeds_stop_ = heeds; }

  // UNAVAILABLE: nobody answers there, or it is not whom the certificates say.
  [[nodiscard]] absl::Status open(const HttpEndpoint& endpoint, Deadline deadline);
  [[nodiscard]] absl::Status write(std::string_view bytes, Deadline deadline);
  // At least one byte. UNAVAILABLE: the other side has closed.
  [[nodiscard]] absl::StatusOr<size_t> read(char* to, size_t most, Deadline deadline);

 private:
  struct FreeTls {
    void operator()(SSL* tls) const { SSL_free(tls); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };

  [[nodiscard]] absl::Status connect(const std::string& host, uint16_t port, Deadline deadline);
  [[nodiscard]] absl::Status shake_hands(const HttpEndpoint& endpoint, const std::string& host,
                                         Deadline deadline);
  // Waits for what OpenSSL asks for after `result`.
  [[nodiscard]] absl::Status settle(int result, Deadline deadline);
  [[nodiscard]] absl::Status wait(short events, Deadline deadline);

  const StopFd& stop_;
  std::string name_;  // for messages
  int fd_ = -1;
  bool heeds_stop_ = true;
  std::unique_ptr<SSL_CTX, FreeTls> context_;
  std::unique_ptr<SSL, FreeTls> tls_;  // null: plaintext
};

}  // namespace clusterd::bench
