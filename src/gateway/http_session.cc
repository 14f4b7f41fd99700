#include "gateway/http_session.h"

#include <boost/asio/post.hpp>
#include <chrono>

#include "core/field_error.h"
#include "gateway/problem.h"

namespace clusterd::gateway {
namespace {

// The code that comes nearest; the status says more.
absl::Status status_of(int http_status, const std::string& detail) {
  if (http_status == 408) return absl::DeadlineExceededError(detail);
  if (http_status == 429) return absl::ResourceExhaustedError(detail);
  if (http_status == 503) {
    return with_retry_delay(absl::UnavailableError(detail), std::chrono::seconds(1));
  }
  if (http_status == 413 || http_status == 431) return absl::OutOfRangeError(detail);
  return absl::InvalidArgumentError(detail);
}

}  // namespace

HttpSession::HttpSession(asio::any_io_executor strand, std::unique_ptr<Connection> connection,
                         HttpPeer peer, const Dispatcher& dispatcher, ClientLedger& ledger,
                         uint64_t id, const SchedulerConfig::HttpServer& limits)
    : strand_(std::move(strand)),
      connection_(std::move(connection)),
      peer_(std::move(peer)),
      dispatcher_(dispatcher),
      limits_(limits),
      account_(ledger, id),
      deadline_(strand_, *connection_),
      reader_(strand_, *connection_, deadline_, account_, limits) {}

asio::awaitable<void> HttpSession::run() {
  deadline_.set(limits_.handshake_timeout);
  const auto error = co_await connection_->open();
  bool goes_on = !error;
  while (goes_on) goes_on = co_await serve_one();
  connection_->close(false);
  deadline_.end();
}

asio::awaitable<bool> HttpSession::serve_one() {
  if (stopping_) co_return false;
  RequestReader::Outcome outcome = co_await reader_.next();
  if (std::holds_alternative<RequestReader::Closed>(outcome)) co_return false;
  if (const auto* fault = std::get_if<RequestReader::Fault>(&outcome)) {
    co_await refuse(*fault);
    co_return false;
  }
  const bool keeps_alive = co_await serve(std::get<HttpRequest>(std::move(outcome)));
  account_.await_request();
  if (cancellation_.is_cancelled()) co_return false;
  if (!keeps_alive) co_await reader_.drain();
  co_return keeps_alive;
}

asio::awaitable<bool> HttpSession::serve(HttpRequest request) {
  const auto begin = std::chrono::steady_clock::now();
  Responder responder(*connection_, deadline_, request, limits_);
  if (stopping_) responder.end_connection();
  StatedCaller caller{.address = dispatcher_.client_address(peer_, request), .peer = peer_.address};
  const absl::Status taken = account_.take_request(caller.address);
  if (!taken.ok()) {
    co_await responder.send(problem(taken));
    dispatcher_.count(request, responder, std::chrono::steady_clock::now() - begin);
    co_return responder.keeps_alive();
  }
  const Exchange exchange{.strand = strand_,
                          .peer = peer_,
                          .request = request,
                          .responder = responder,
                          .cancellation = cancellation_,
                          .reader = reader_,
                          .account = account_,
                          .caller = caller};
  co_await dispatcher_.handle(exchange);
  dispatcher_.count(request, responder, std::chrono::steady_clock::now() - begin);
  co_return responder.keeps_alive();
}

asio::awaitable<void> HttpSession::refuse(RequestReader::Fault fault) {
  HttpRequest request;
  request.keep_alive = false;
  const auto begin = std::chrono::steady_clock::now();
  Responder responder(*connection_, deadline_, request, limits_);
  account_.await_request();
  HttpResponse response = problem(status_of(fault.status, fault.detail), fault.status);
  co_await responder.send(std::move(response));
  dispatcher_.count(request, responder, std::chrono::steady_clock::now() - begin);
  co_await reader_.drain();
}

void HttpSession::wind_down() {
  asio::post(strand_, [self = shared_from_this()] {
    self->stopping_ = true;
    if (self->reader_.is_watching()) {
      self->cancellation_.cancel();
      self->connection_->cancel();
    } else if (self->reader_.is_idle()) {
      self->connection_->cancel();
    }
  });
}

void HttpSession::evict() {
  asio::post(strand_, [self = shared_from_this()] {
    self->stopping_ = true;
    self->reader_.end_reading();
  });
}

void HttpSession::end_if_revoked() {
  asio::post(strand_, [self = shared_from_this()] {
    if (self->peer_.secure == nullptr || self->peer_.secure->identity().ok()) return;
    self->stopping_ = true;
    self->cancellation_.cancel();
    self->connection_->close(true);
  });
}

void HttpSession::abort() {
  asio::post(strand_, [self = shared_from_this()] {
    self->stopping_ = true;
    self->cancellation_.cancel();
    self->connection_->close(true);
  });
}

}  // namespace clusterd::gateway
