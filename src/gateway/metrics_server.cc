#include "gateway/metrics_server.h"

#include <pthread.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <thread>
#include <utility>

#include "core/address.h"
#include "core/metrics.h"

namespace clusterd {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kLongest = std::chrono::seconds(5);  // of a whole request and its answer
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr size_t kMostHeadBytes = 8 << 10;
constexpr int kMostConnections = 32;
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

std::string answer(std::string_view status, std::string_view type, const std::string& body,
                   bool with_body) {
  std::string text = "HTTP/1.1 ";
  text.append(status).append("\r\nContent-Type: ").append(type);
  text += "\r\nContent-Length: " + std::to_string(body.size()) +
          "\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";
  return with_body ? text + body : text;
}

// The first line's method and path, without a query.
std::pair<std::string_view, std::string_view> request_line(std::string_view head) {
  const size_t space = head.find(' ');
  const size_t end = head.find_first_of(" ?\r", space + 1);
  if (space == std::string_view::npos || end == std::string_view::npos) return {};
  return {head.substr(0, space), head.substr(space + 1, end - space - 1)};
}

}  // namespace

// What MetricsServer hides. All but the constructor and stop() runs on its thread.
class MetricsServer::Listener {
 public:
  explicit Listener(Source source) : source_(std::move(source)) {}
  ~Listener() { stop(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  absl::Status listen(const std::string& addr) {
    const auto wanted = parse_address(addr);
    if (!wanted.ok()) return wanted.status();
    error_code error;
    tcp::resolver resolver(io_);
    const auto found =
        resolver.resolve(wanted->host, std::to_string(wanted->port), tcp::resolver::passive, error);
    if (!error && found.empty()) error = asio::error::host_not_found;
    if (!error) (void)acceptor_.open(found.begin()->endpoint().protocol(), error);
    if (!error) (void)acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) (void)acceptor_.bind(found.begin()->endpoint(), error);
    if (!error) (void)acceptor_.listen(asio::socket_base::max_listen_connections, error);
    const tcp::endpoint bound = error ? tcp::endpoint() : acceptor_.local_endpoint(error);
    if (error) {
      return absl::UnavailableError("[metrics] addr = \"" + addr +
                                    "\": cannot listen: " + error.message());
    }
    address_ = format_address({.host = bound.address().to_string(), .port = bound.port()});
    asio::co_spawn(io_, accept_all(), asio::detached);
    thread_ = std::thread([this] { io_.run(); });
    pthread_setname_np(thread_.native_handle(), "metrics");
    return absl::OkStatus();
  }

  void stop() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  asio::awaitable<void> accept_all() {
    while (true) {
      auto [error, socket] = co_await acceptor_.async_accept(kAsTuple);
      if (error || connections_ >= kMostConnections) {
        pause_.expires_after(kAcceptPause);
        (void)co_await pause_.async_wait(kAsTuple);
        continue;
      }
      ++connections_;
      asio::co_spawn(io_, serve(std::make_shared<tcp::socket>(std::move(socket))), asio::detached);
    }
  }

  // Shared with the deadline, which may come when all has been said.
  asio::awaitable<void> serve(std::shared_ptr<tcp::socket> shared) {
    tcp::socket& socket = *shared;
    asio::steady_timer deadline(io_, kLongest);
    deadline.async_wait([shared](const error_code& error) {
      error_code ignored;  // it is closed either way
      if (!error) (void)shared->close(ignored);
    });
    std::string head;
    std::array<char, 1024> piece;
    bool whole = false;
    while (!whole && head.size() < kMostHeadBytes) {
      const auto [error, size] = co_await socket.async_read_some(asio::buffer(piece), kAsTuple);
      if (error) break;
      head.append(piece.data(), size);
      whole = head.find("\r\n\r\n") != std::string::npos;
    }
    if (whole) {
      const std::string text = respond(head);
      (void)co_await asio::async_write(socket, asio::buffer(text), kAsTuple);
      error_code ignored;  // the client may be gone
      (void)socket.shutdown(tcp::socket::shutdown_send, ignored);
    }
    deadline.cancel();
    --connections_;
  }

  [[nodiscard]] std::string respond(std::string_view head) const {
    constexpr std::string_view kText = "text/plain; charset=utf-8";
    const auto [method, path] = request_line(head);
    const bool get = method == "GET";
    if (!get && method != "HEAD") {
      return answer("405 Method Not Allowed\r\nAllow: GET, HEAD", kText, "GET only\n", true);
    }
    if (path == "/metrics") return answer("200 OK", MetricsPage::content_type(), source_(), get);
    if (path == "/healthz") return answer("200 OK", kText, "ok\n", get);
    return answer("404 Not Found", kText, "/metrics and /healthz are here\n", get);
  }

  const Source source_;
  asio::io_context io_{1};
  tcp::acceptor acceptor_{io_};
  asio::steady_timer pause_{io_};
  std::string address_;
  int connections_ = 0;
  std::thread thread_;
};

MetricsServer::MetricsServer(std::unique_ptr<Listener> listener) : listener_(std::move(listener)) {}
MetricsServer::~MetricsServer() = default;
std::string MetricsServer::address() const { return listener_->address(); }

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::start(const std::string& addr,
                                                                    Source source) {
  auto listener = std::make_unique<Listener>(std::move(source));
  if (absl::Status status = listener->listen(addr); !status.ok()) return status;
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(listener)));
}

}  // namespace clusterd
