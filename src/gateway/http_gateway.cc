#include "gateway/http_gateway.h"

#include <pthread.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/address.h"
#include "gateway/http_session.h"

namespace clusterd {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int kThreads = 2;
constexpr auto kStopGrace = std::chrono::seconds(1);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr std::string_view kFull =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
    "Connection: close\r\n\r\n";

absl::Status set_up_tls(asio::ssl::context& context, const ListenerConfig& config) {
  error_code error;
  (void)context.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, error);
  (void)context.use_certificate_chain_file(config.crt_file, error);
  if (error) {
    return absl::InvalidArgumentError("http_server.crt_file " + config.crt_file + ": " +
                                      error.message());
  }
  (void)context.use_private_key_file(config.key_file, asio::ssl::context::pem, error);
  if (error) {
    return absl::InvalidArgumentError("http_server.key_file " + config.key_file + ": " +
                                      error.message());
  }
  return absl::OkStatus();
}

}  // namespace

// What HttpGateway hides: listener, threads and the list of sessions, which `strand_` owns.
class HttpGateway::Server {
 public:
  Server(const SchedulerConfig::HttpServer& config, std::shared_ptr<grpc::Channel> channel,
         Readiness readiness, bool original_endpoints)
      : config_(config),
        channel_(std::move(channel)),
        readiness_(std::move(readiness)),
        original_endpoints_(original_endpoints) {}
  ~Server() { stop(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  absl::Status start();
  [[nodiscard]] std::string address() const { return address_; }
  void stop();

 private:
  absl::Status listen();
  asio::awaitable<void> accept_all();
  void serve(tcp::socket socket);
  void on_session_end(uint64_t id);
  void wind_down();
  void end_if_idle();

  const SchedulerConfig::HttpServer config_;
  const std::shared_ptr<grpc::Channel> channel_;
  const Readiness readiness_;
  const bool original_endpoints_;
  std::unique_ptr<gateway::Dispatcher> dispatcher_;
  std::optional<asio::ssl::context> tls_;
  asio::io_context io_{kThreads};
  asio::strand<asio::io_context::executor_type> strand_{io_.get_executor()};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  tcp::acceptor acceptor_{strand_};
  asio::steady_timer timer_{strand_};  // of the accept pause, then of the stop
  std::string address_;
  std::unordered_map<uint64_t, std::shared_ptr<gateway::HttpSession>> sessions_;
  uint64_t last_id_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

absl::Status HttpGateway::Server::start() {
  auto dispatcher =
      gateway::Dispatcher::make(channel_, config_.allowed_hosts, readiness_, original_endpoints_);
  if (!dispatcher.ok()) return dispatcher.status();
  dispatcher_ = *std::move(dispatcher);
  if (config_.use_tls) {
    absl::Status status = set_up_tls(tls_.emplace(asio::ssl::context::tls_server), config_);
    if (!status.ok()) return status;
  }
  absl::Status status = listen();
  if (!status.ok()) return status;
  asio::co_spawn(strand_, accept_all(), asio::detached);
  for (int i = 0; i < kThreads; ++i) {
    threads_.emplace_back([this] { io_.run(); });
    pthread_setname_np(threads_.back().native_handle(), "http");
  }
  return absl::OkStatus();
}

absl::Status HttpGateway::Server::listen() {
  const auto wanted = parse_address(config_.addr);
  if (!wanted.ok()) return wanted.status();
  error_code error;
  tcp::resolver resolver(io_);
  const auto found =
      resolver.resolve(wanted->host, std::to_string(wanted->port), tcp::resolver::passive, error);
  const auto failed = [this, &error](const char* what) {
    return absl::UnavailableError("http_server.addr " + config_.addr + ": " + what + ": " +
                                  error.message());
  };
  if (error || found.empty()) return failed("cannot resolve");
  const tcp::endpoint endpoint = found.begin()->endpoint();
  (void)acceptor_.open(endpoint.protocol(), error);
  if (!error) (void)acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) (void)acceptor_.bind(endpoint, error);
  if (error) return failed("cannot bind");
  (void)acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) return failed("cannot listen");
  const tcp::endpoint bound = acceptor_.local_endpoint(error);
  if (error) return failed("has no address");
  address_ = format_address({.host = bound.address().to_string(), .port = bound.port()});
  return absl::OkStatus();
}

asio::awaitable<void> HttpGateway::Server::accept_all() {
  while (acceptor_.is_open()) {
    auto [error, socket] =
        co_await acceptor_.async_accept(io_.get_executor(), asio::as_tuple(asio::use_awaitable));
    if (!acceptor_.is_open()) co_return;
    if (!error) {
      serve(std::move(socket));
    } else if (error != asio::error::connection_aborted) {
      timer_.expires_after(kAcceptPause);  // out of descriptors: some must be closed first
      (void)co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }
}

void HttpGateway::Server::serve(tcp::socket socket) {
  error_code error;
  if (sessions_.size() >= config_.max_connections) {
    (void)::send(socket.native_handle(), kFull.data(), kFull.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return;
  }
  const bool ipv6 = socket.local_endpoint(error).protocol() == tcp::v6();
  const int descriptor = socket.release(error);
  if (error) return;
  const asio::any_io_executor strand = asio::make_strand(io_);
  auto connection = tls_ ? gateway::make_tls_connection(strand, descriptor, ipv6, *tls_)
                         : gateway::make_plain_connection(strand, descriptor, ipv6);
  const uint64_t id = ++last_id_;
  const auto session =
      std::make_shared<gateway::HttpSession>(strand, std::move(connection), *dispatcher_, config_);
  sessions_.emplace(id, session);
  asio::co_spawn(strand, session->run(), [this, id, session](const std::exception_ptr&) {
    asio::post(strand_, [this, id] { on_session_end(id); });
  });
}

void HttpGateway::Server::on_session_end(uint64_t id) {
  sessions_.erase(id);
  end_if_idle();
}

void HttpGateway::Server::end_if_idle() {
  if (!stopping_ || !sessions_.empty()) return;
  timer_.cancel();
  work_.reset();
}

void HttpGateway::Server::wind_down() {
  stopping_ = true;
  error_code ignored;  // nothing to do about a listener that does not close
  (void)acceptor_.close(ignored);
  for (const auto& [id, session] : sessions_) session->wind_down();
  timer_.expires_after(kStopGrace);
  timer_.async_wait([this](const error_code& error) {
    if (error) return;
    for (const auto& [id, session] : sessions_) session->abort();
  });
  end_if_idle();
}

void HttpGateway::Server::stop() {
  if (threads_.empty()) return;
  asio::post(strand_, [this] { wind_down(); });
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

HttpGateway::HttpGateway(const SchedulerConfig::HttpServer& config,
                         std::shared_ptr<grpc::Channel> channel, Readiness readiness,
                         bool original_endpoints)
    : server_(std::make_unique<Server>(config, std::move(channel), std::move(readiness),
                                       original_endpoints)) {}

HttpGateway::~HttpGateway() = default;
absl::Status HttpGateway::start() { return server_->start(); }
std::string HttpGateway::address() const { return server_->address(); }
void HttpGateway::stop() { server_->stop(); }

}  // namespace clusterd
