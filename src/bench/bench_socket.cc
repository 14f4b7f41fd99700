#include "bench/bench_socket.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/address.h"
#include "rpc/openssl.h"

namespace clusterd::bench {
namespace {

absl::Status unavailable(const std::string& name, const std::string& why) {
  return absl::UnavailableError("HTTP at " + name + ": " + why);
}

}  // namespace

HttpConnection::Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

absl::Status HttpConnection::Socket::wait(short events, Deadline deadline) {
  using std::chrono::milliseconds;
  const auto left =
      std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  if (left <= 0) return absl::DeadlineExceededError("HTTP at " + name_ + ": no answer in time");
  std::array<pollfd, 2> files = {{{fd_, events, 0}, {heeds_stop_ ? stop_.fd() : -1, POLLIN, 0}}};
  const int timeout = static_cast<int>(std::min<int64_t>(left, 60'000));
  if (poll(files.data(), files.size(), timeout) < 0 && errno != EINTR) {
    return absl::ErrnoToStatus(errno, "poll");
  }
  if (files[1].revents != 0) return absl::CancelledError("interrupted");
  return absl::OkStatus();
}

absl::Status HttpConnection::Socket::open(const HttpEndpoint& endpoint, Deadline deadline) {
  name_ = endpoint.addr;
  const auto address = parse_address(endpoint.addr);
  if (!address.ok()) return address.status();
  absl::Status status = connect(address->host, address->port, deadline);
  if (status.ok() && endpoint.use_tls) status = shake_hands(endpoint, address->host, deadline);
  return status;
}

absl::Status HttpConnection::Socket::connect(const std::string& host, uint16_t port,
                                             Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return unavailable(name_, gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  absl::Status failure;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (fd_ >= 0) close(fd_);
    fd_ = socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) return absl::ErrnoToStatus(errno, "socket");
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int cause = ::connect(fd_, one->ai_addr, one->ai_addrlen) == 0 ? 0 : errno;
    if (cause == EINPROGRESS) {
      if (absl::Status status = wait(POLLOUT, deadline); !status.ok()) return status;
      socklen_t size = sizeof cause;
      getsockopt(fd_, SOL_SOCKET, SO_ERROR, &cause, &size);
    }
    if (cause == 0) return absl::OkStatus();
    failure = unavailable(name_, strerror(cause));
  }
  return failure;
}

absl::Status HttpConnection::Socket::shake_hands(const HttpEndpoint& endpoint,
                                                 const std::string& host, Deadline deadline) {
  context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = context_.get();
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  const bool has_authorities =
      endpoint.ca_file.empty() ? SSL_CTX_set_default_verify_paths(context) == 1
                               : SSL_CTX_load_verify_file(context, endpoint.ca_file.c_str()) == 1;
  if (!has_authorities) {
    return absl::InvalidArgumentError("--ca: " + endpoint.ca_file + ": " + openssl_error());
  }
  if (!endpoint.crt_file.empty() &&
      (SSL_CTX_use_certificate_chain_file(context, endpoint.crt_file.c_str()) != 1 ||
       SSL_CTX_use_PrivateKey_file(context, endpoint.key_file.c_str(), SSL_FILETYPE_PEM) != 1)) {
    return absl::InvalidArgumentError("--cert, --key: " + endpoint.crt_file + ", " +
                                      endpoint.key_file + ": " + openssl_error());
  }
  tls_.reset(SSL_new(context));
  SSL_set_fd(tls_.get(), fd_);
  SSL_set_mode(tls_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (is_ip_literal(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls_.get()), host.c_str());
  } else {
    SSL_set1_host(tls_.get(), host.c_str());
    SSL_set_tlsext_host_name(tls_.get(), host.c_str());
  }
  while (true) {
    ERR_clear_error();
    const int result = SSL_connect(tls_.get());
    if (result == 1) return absl::OkStatus();
    if (absl::Status status = settle(result, deadline); !status.ok()) return status;
  }
}

absl::Status HttpConnection::Socket::settle(int result, Deadline deadline) {
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return wait(POLLIN, deadline);
    case SSL_ERROR_WANT_WRITE:
      return wait(POLLOUT, deadline);
    case SSL_ERROR_ZERO_RETURN:
      return unavailable(name_, "the connection was closed");
    default:
      return unavailable(name_, openssl_error());
  }
}

absl::Status HttpConnection::Socket::write(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    absl::Status status;
    if (tls_ != nullptr) {
      size_t count = 0;
      ERR_clear_error();
      const int result = SSL_write_ex(tls_.get(), bytes.data(), bytes.size(), &count);
      bytes.remove_prefix(count);
      if (result != 1) status = settle(result, deadline);
    } else {
      const ssize_t count = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count >= 0) bytes.remove_prefix(static_cast<size_t>(count));
      if (count < 0 && errno == EAGAIN) {
        status = wait(POLLOUT, deadline);
      } else if (count < 0 && errno != EINTR) {
        status = unavailable(name_, strerror(errno));
      }
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> HttpConnection::Socket::read(char* to, size_t most, Deadline deadline) {
  while (true) {
    absl::Status status;
    if (tls_ != nullptr) {
      size_t count = 0;
      ERR_clear_error();
      const int result = SSL_read_ex(tls_.get(), to, most, &count);
      if (result == 1) return count;
      status = settle(result, deadline);
    } else {
      const ssize_t count = recv(fd_, to, most, 0);
      if (count > 0) return static_cast<size_t>(count);
      if (count == 0) {
        status = unavailable(name_, "the connection was closed");
      } else if (errno == EAGAIN) {
        status = wait(POLLIN, deadline);
      } else if (errno != EINTR) {
        status = unavailable(name_, strerror(errno));
      }
    }
    if (!status.ok()) return status;
  }
}

}  // namespace clusterd::bench
