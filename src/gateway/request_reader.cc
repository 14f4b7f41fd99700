#include "gateway/request_reader.h"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace clusterd::gateway {
namespace {

namespace http = boost::beast::http;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr size_t kReadBytes = 16U << 10;
constexpr size_t kFirstReadBytes = 1U << 10;   // is not counted: thousands may do it at one time
constexpr size_t kReadAheadBytes = 16U << 10;  // kept of what a client sends before its turn
constexpr size_t kDrainBytes = 1U << 10;       // read at once of what nobody wants
constexpr auto kDrainTime = std::chrono::seconds(2);

// absolute-form (RFC 9112, section 3.2.2)
bool is_absolute(const std::string& target) {
  return absl::StartsWithIgnoreCase(target, "http://") ||
         absl::StartsWithIgnoreCase(target, "https://");
}

std::string lower(boost::beast::string_view text) {
  return absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
}

}  // namespace

// One request on its way in.
class RequestReader::Parser {
 public:
  explicit Parser(const SchedulerConfig::HttpServer& limits) {
    parser_.eager(false);
    parser_.header_limit(static_cast<uint32_t>(limits.max_header_bytes));
    parser_.body_limit(limits.max_body_bytes);
    max_headers_ = limits.max_headers;
  }

  // Takes what it can of `text` and returns how much that was. Stops after the head once.
  size_t put(std::string_view text) {
    need_more_ = false;
    boost::beast::error_code error;
    const bool in_head = !parser_.is_header_done();
    const size_t used = parser_.put(asio::const_buffer(text.data(), text.size()), error);
    if (error == http::error::need_more) {
      need_more_ = true;
    } else {
      error_ = error;
    }
    if (in_head) head_bytes_ += used;
    return used;
  }
  void expect_body() { parser_.eager(true); }
  [[nodiscard]] bool needs_more() const { return need_more_; }
  [[nodiscard]] bool has_head() const { return parser_.is_header_done(); }
  [[nodiscard]] bool is_done() const { return parser_.is_done(); }
  [[nodiscard]] const boost::beast::error_code& error() const { return error_; }
  // Of the request so far; the parsed head as twice its text.
  [[nodiscard]] uint64_t bytes_held() const {
    return 2 * head_bytes_ + parser_.get().body().size();
  }
  // What it takes is more than there is for it.
  void refuse(const absl::Status& status) { refusal_ = status; }
  [[nodiscard]] const absl::Status& refusal() const { return refusal_; }
  [[nodiscard]] std::string expectation() const {
    return lower(parser_.get()[http::field::expect]);
  }

  // 0, or the status of a refusal.
  [[nodiscard]] Fault check_head() const;
  [[nodiscard]] HttpRequest take();

 private:
  http::request_parser<http::string_body> parser_;
  boost::beast::error_code error_;
  absl::Status refusal_;
  uint32_t max_headers_ = 0;
  uint64_t head_bytes_ = 0;
  bool need_more_ = true;
};

RequestReader::Fault RequestReader::Parser::check_head() const {
  const auto& message = parser_.get();
  if (message.version() != 10 && message.version() != 11) {
    return {.status = 505, .detail = "HTTP/1.1 or HTTP/1.0 is needed"};
  }
  if (std::distance(message.begin(), message.end()) > max_headers_) {
    return {.status = 431, .detail = "more than " + std::to_string(max_headers_) + " headers"};
  }
  const std::string target(message.target());
  if (!target.starts_with('/') && !is_absolute(target) && target != "*") {
    return {.status = 400, .detail = "the request's target must begin with /"};
  }
  const auto hosts = message.count(http::field::host);
  if (hosts > 1 || (hosts == 0 && message.version() == 11)) {
    return {.status = 400, .detail = "exactly one Host header is needed"};
  }
  const std::string wish = expectation();
  if (!wish.empty() && wish != "100-continue") {
    return {.status = 417, .detail = "unknown Expect"};
  }
  return {.status = 0, .detail = ""};
}

HttpRequest RequestReader::Parser::take() {
  HttpRequest request;
  request.keep_alive = parser_.keep_alive();
  auto message = parser_.release();
  request.verb = std::string(message.method_string());
  request.version = static_cast<int>(message.version());
  for (const auto& field : message) {
    request.headers.emplace_back(lower(field.name_string()), std::string(field.value()));
  }
  request.authority = std::string(request.header("host").value_or(""));
  std::string target(message.target());
  if (is_absolute(target)) {
    const size_t host = target.find("//") + 2;
    const size_t path = std::min(target.find_first_of("/?", host), target.size());
    request.authority = target.substr(host, path - host);
    target.erase(0, path);
    if (target.empty() || target[0] != '/') target.insert(0, "/");
  }
  const size_t question = std::min(target.find('?'), target.size());
  request.path = target.substr(0, question);
  if (question < target.size()) request.query = target.substr(question + 1);
  request.body = std::move(message.body());
  return request;
}

RequestReader::RequestReader(const asio::any_io_executor& strand, Connection& connection,
                             Deadline& deadline, LedgerEntry& account,
                             const SchedulerConfig::HttpServer& limits)
    : strand_(strand),
      connection_(connection),
      deadline_(deadline),
      limits_(limits),
      account_(account),
      watch_ended_(strand) {}

std::string_view RequestReader::unread() const { return std::string_view(buffer_).substr(begin_); }

void RequestReader::free_buffer() {
  std::string().swap(buffer_);  // an assignment would keep its capacity
  begin_ = 0;
}

asio::awaitable<bool> RequestReader::read_more(size_t limit) {
  if (ended_ || deadline_.passed()) co_return false;
  buffer_.erase(0, std::exchange(begin_, 0));
  const Transferred got = co_await connection_.read(buffer_, limit);
  co_return !got.error;
}

asio::awaitable<bool> RequestReader::read_more_of(Parser& parser) {
  // A head that is large has been counted for half of what it may become here.
  const size_t limit =
      parser.has_head() ? kReadBytes : std::clamp(unread().size(), kFirstReadBytes, kReadBytes);
  const bool more = co_await read_more(limit);
  if (!more) co_return false;
  const absl::Status status = account_.hold(buffer_.capacity() + parser.bytes_held());
  if (!status.ok()) {
    parser.refuse(status);
    free_buffer();
  }
  co_return status.ok();
}

void RequestReader::end_reading() {
  ended_ = true;
  connection_.cancel();
}

asio::awaitable<RequestReader::Outcome> RequestReader::next() {
  idle_ = true;
  if (unread().empty()) {
    free_buffer();  // an idle connection keeps none
    deadline_.set(first_ ? std::min(limits_.header_timeout, limits_.idle_timeout)
                         : limits_.idle_timeout);
    const bool more = co_await read_more(kFirstReadBytes);
    if (!more) co_return Closed{};
  }
  idle_ = false;
  first_ = false;
  deadline_.set(limits_.header_timeout);
  Parser parser(limits_);
  co_return co_await read_request(parser);
}

asio::awaitable<RequestReader::Outcome> RequestReader::read_request(Parser& parser) {
  const bool has_head = co_await read_head(parser);
  if (!has_head) co_return fault_of(parser);
  const Fault refusal = parser.check_head();
  if (refusal.status != 0) co_return refusal;
  const bool confirmed = co_await confirm_expectation(parser);
  if (!confirmed) co_return Closed{};
  const bool has_body = co_await read_body(parser);
  if (!has_body) co_return fault_of(parser);
  deadline_.clear();
  co_return parser.take();
}

asio::awaitable<bool> RequestReader::read_head(Parser& parser) {
  begin_ += parser.put(unread());
  while (!parser.error() && !parser.has_head()) {
    const bool more = co_await read_more_of(parser);
    if (!more) co_return false;
    begin_ += parser.put(unread());
  }
  co_return !parser.error();
}

asio::awaitable<bool> RequestReader::confirm_expectation(Parser& parser) {
  if (parser.expectation().empty() || parser.is_done() || !unread().empty()) co_return true;
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  const std::array buffers = {asio::const_buffer(kContinue.data(), kContinue.size())};
  const Transferred sent = co_await connection_.write(buffers);
  co_return !sent.error;
}

// A body may pause, and it may be slow, but not both for ever.
asio::awaitable<bool> RequestReader::read_body(Parser& parser) {
  parser.expect_body();
  const auto start = steady_clock::now();
  while (!parser.is_done()) {
    if (!unread().empty()) begin_ += parser.put(unread());
    if (parser.error()) co_return false;
    if (parser.is_done()) break;
    if (!unread().empty() && !parser.needs_more()) continue;
    deadline_.set(std::min(limits_.body_timeout, time_left(parser, steady_clock::now() - start)));
    const bool more = co_await read_more_of(parser);
    if (!more) co_return false;
  }
  co_return true;
}

nanoseconds RequestReader::time_left(const Parser& parser, nanoseconds since) const {
  if (limits_.min_body_rate_bytes == 0) return limits_.body_timeout;
  const nanoseconds earned(parser.bytes_held() * std::nano::den / limits_.min_body_rate_bytes);
  return std::max(limits_.body_timeout + earned - since, nanoseconds::zero());
}

RequestReader::Outcome RequestReader::fault_of(const Parser& parser) const {
  const auto& error = parser.error();
  if (!parser.refusal().ok()) {
    return Fault{absl::IsUnavailable(parser.refusal()) ? 503 : 429,
                 std::string(parser.refusal().message())};
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return Fault{431, "more than " + std::to_string(limits_.max_header_bytes) +
                          " bytes of request line and headers"};
  }
  if (error == http::error::body_limit) {
    return Fault{413, "more than " + std::to_string(limits_.max_body_bytes) + " bytes of body"};
  }
  if (error == http::error::bad_version) return Fault{505, "HTTP/1.1 or HTTP/1.0 is needed"};
  if (error) return Fault{400, "malformed HTTP: " + error.message()};
  if (deadline_.passed()) return Fault{408, "the request took too long to arrive"};
  return Closed{};
}

void RequestReader::start_watch(std::function<void()> on_gone) {
  on_gone_ = std::move(on_gone);
  watching_ = true;
  watch_stops_ = false;
  watch_ended_.clear();
  asio::co_spawn(strand_, watch(), asio::detached);
}

asio::awaitable<void> RequestReader::watch() {
  while (!watch_stops_ && unread().size() < kReadAheadBytes) {
    const bool more = co_await read_more(kReadBytes);
    if (more) continue;
    if (!watch_stops_) on_gone_();
    break;
  }
  watch_ended_.notify();
}

asio::awaitable<void> RequestReader::stop_watch() {
  if (!watching_) co_return;
  watch_stops_ = true;
  connection_.cancel();
  co_await watch_ended_.wait();
  watching_ = false;
  on_gone_ = nullptr;
}

asio::awaitable<void> RequestReader::drain() {
  idle_ = true;
  connection_.end_writing();
  deadline_.set(kDrainTime);
  bool more = true;
  while (more) {
    free_buffer();  // it may be one of thousands
    more = co_await read_more(kDrainBytes);
  }
}

}  // namespace clusterd::gateway
