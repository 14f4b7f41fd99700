#include "gateway/http_gateway.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/address.h"
#include "gateway/client_ledger.h"
#include "gateway/http_session.h"
#include "gateway/problem.h"
#include "rpc/https_security.h"
#include "rpc/local_peer.h"

namespace clusterd {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::steady_clock;

constexpr int kThreads = 2;
constexpr auto kStopGrace = std::chrono::seconds(1);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

// What a connection that is not admitted gets, where it would understand it.
std::string refusal_text(const absl::Status& status) {
  const gateway::HttpResponse response = gateway::problem(status);
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + " " +
                     std::string(gateway::reason_phrase(response.status)) +
                     "\r\nContent-Type: " + response.content_type + "\r\n";
  for (const auto& [name, value] : response.headers) text += name + ": " + value + "\r\n";
  return text + "Connection: close\r\nContent-Length: " + std::to_string(response.body.size()) +
         "\r\n\r\n" + response.body;
}

Address to_address(const tcp::endpoint& endpoint) {
  return {.host = endpoint.address().to_string(), .port = endpoint.port()};
}

void block_broken_pipes() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace

// What HttpGateway hides: listener, threads and the list of sessions, which `strand_` owns.
class HttpGateway::Server {
 public:
  Server(const SchedulerConfig::HttpServer& config, std::shared_ptr<grpc::Channel> channel,
         Readiness readiness, bool original_endpoints, const CallerRules& callers,
         MetricsSource metrics)
      : config_(config),
        ledger_(config_, [this](uint64_t id) { asio::post(strand_, [this, id] { evict(id); }); }),
        channel_(std::move(channel)),
        readiness_(std::move(readiness)),
        original_endpoints_(original_endpoints),
        callers_(callers),
        metrics_(std::move(metrics)) {}
  ~Server() { stop(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  absl::Status start();
  [[nodiscard]] std::string address() const { return address_; }
  void stop();
  [[nodiscard]] std::vector<Reloadable> reloadables();
  [[nodiscard]] std::optional<std::chrono::system_clock::time_point> certificate_end() const {
    return tls_ ? tls_->not_after() : std::nullopt;
  }

 private:
  absl::Status listen();
  asio::awaitable<void> accept_all();
  void serve(tcp::socket socket);
  void evict(uint64_t id);
  void on_session_end(uint64_t id);
  void wind_down();
  void end_if_idle();

  const SchedulerConfig::HttpServer config_;
  gateway::ClientLedger ledger_;
  const std::shared_ptr<grpc::Channel> channel_;
  const Readiness readiness_;
  const bool original_endpoints_;
  const CallerRules& callers_;
  const MetricsSource metrics_;
  std::unique_ptr<gateway::Dispatcher> dispatcher_;
  std::unique_ptr<HttpsSecurity> tls_;  // null: plaintext
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
  auto dispatcher = gateway::Dispatcher::make(channel_, config_.allowed_hosts, readiness_, metrics_,
                                              original_endpoints_, callers_);
  if (!dispatcher.ok()) return dispatcher.status();
  dispatcher_ = *std::move(dispatcher);
  if (config_.use_tls) {
    auto security = HttpsSecurity::make(config_);
    if (!security.ok()) return security.status();
    tls_ = *std::move(security);
  }
  absl::Status status = listen();
  if (!status.ok()) return status;
  asio::co_spawn(strand_, accept_all(), asio::detached);
  for (int i = 0; i < kThreads; ++i) {
    threads_.emplace_back([this] {
      block_broken_pipes();
      io_.run();
    });
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
  address_ = format_address(to_address(bound));
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
  const tcp::endpoint endpoint = socket.remote_endpoint(error);
  if (error) return;  // it is gone already
  gateway::HttpPeer peer{.address = endpoint.address().to_string()};
  if (callers_.tells_users_apart()) {
    const auto user = user_of_peer(to_address(endpoint), to_address(socket.local_endpoint(error)));
    peer.is_same_user = user.ok() && *user == geteuid();
  }
  const uint64_t id = ++last_id_;
  const absl::Status admitted =
      ledger_.connect(id, peer.address, callers_.is_proxy(peer.address), steady_clock::now());
  if (!admitted.ok()) {
    if (tls_) return;
    const std::string text = refusal_text(admitted);
    (void)::send(socket.native_handle(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return;
  }
  const bool ipv6 = endpoint.protocol() == tcp::v6();
  const asio::any_io_executor strand = asio::make_strand(io_);
  const int descriptor = socket.release(error);
  if (tls_) peer.secure = tls_->new_peer();
  auto connection =
      tls_ ? gateway::make_tls_connection(strand, descriptor, ipv6, tls_->new_session(*peer.secure))
           : gateway::make_plain_connection(strand, descriptor, ipv6);
  const auto session = std::make_shared<gateway::HttpSession>(
      strand, std::move(connection), std::move(peer), *dispatcher_, ledger_, id, config_);
  sessions_.emplace(id, session);
  asio::co_spawn(strand, session->run(), [this, id, session](const std::exception_ptr&) {
    asio::post(strand_, [this, id] { on_session_end(id); });
  });
}

void HttpGateway::Server::evict(uint64_t id) {
  const auto found = sessions_.find(id);
  if (found != sessions_.end()) found->second->evict();
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

std::vector<Reloadable> HttpGateway::Server::reloadables() {
  std::vector<Reloadable> items;
  if (tls_ == nullptr) return items;
  items.push_back(tls_->reloadable([this] {
    asio::post(strand_, [this] {
      for (const auto& [id, session] : sessions_) session->end_if_revoked();
    });
  }));
  return items;
}

void HttpGateway::Server::stop() {
  if (threads_.empty()) return;
  asio::post(strand_, [this] { wind_down(); });
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

HttpGateway::HttpGateway(const SchedulerConfig::HttpServer& config,
                         std::shared_ptr<grpc::Channel> channel, Readiness readiness,
                         bool original_endpoints, const CallerRules& callers, MetricsSource metrics)
    : server_(std::make_unique<Server>(config, std::move(channel), std::move(readiness),
                                       original_endpoints, callers, std::move(metrics))) {}

HttpGateway::~HttpGateway() = default;
absl::Status HttpGateway::start() { return server_->start(); }
std::string HttpGateway::address() const { return server_->address(); }
void HttpGateway::stop() { server_->stop(); }
std::vector<Reloadable> HttpGateway::reloadables() { return server_->reloadables(); }
std::optional<std::chrono::system_clock::time_point> HttpGateway::certificate_end() const {
  return server_->certificate_end();
}

}  // namespace clusterd
