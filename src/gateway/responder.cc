#include "gateway/responder.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

namespace clusterd::gateway {
namespace {

constexpr size_t kPieceBytes = 256U << 10;

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kDefaultHeaders = {{
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
}};

bool has_header(const HttpResponse& response, std::string_view name) {
  return std::any_of(response.headers.begin(), response.headers.end(),
                     [name](const auto& header) { return header.first == name; });
}

asio::const_buffer as_buffer(std::string_view text) { return {text.data(), text.size()}; }

std::string hex(size_t number) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  do {
    text.insert(text.begin(), kDigits[number & 15]);
    number >>= 4;
  } while (number != 0);
  return text;
}

// "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date() {
  constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 64> text{};
  const auto size = std::strftime(text.data(), text.size(), "%d %%s %Y %H:%M:%S GMT", &utc);
  std::string date(text.data(), size);
  date.replace(date.find("%s"), 2, kMonths[static_cast<size_t>(utc.tm_mon)]);
  return std::string(kDays[static_cast<size_t>(utc.tm_wday)]) + ", " + date;
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  for (const char c : value) out.push_back(c == '\r' || c == '\n' ? ' ' : c);
  out.append("\r\n");
}

}  // namespace

Responder::Responder(Connection& connection, Deadline& deadline, const HttpRequest& request,
                     const SchedulerConfig::HttpServer& limits)
    : connection_(connection),
      deadline_(deadline),
      limits_(limits),
      version_(request.version),
      is_head_(request.verb == "HEAD"),
      keep_alive_(request.keep_alive) {}

std::string Responder::head_of(const HttpResponse& response) const {
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " ";
  out.append(reason_phrase(response.status)).append("\r\n");
  append_header(out, "Date", http_date());
  if (!response.content_type.empty()) append_header(out, "Content-Type", response.content_type);
  for (const auto& [name, value] : response.headers) append_header(out, name, value);
  append_header(out, "X-Content-Type-Options", "nosniff");
  // Where an answer is shown as a page, it can do nothing; what is meant to be one says so itself.
  for (const auto& [name, value] : kDefaultHeaders) {
    if (!has_header(response, name)) append_header(out, name, value);
  }
  if (!keep_alive_) {
    append_header(out, "Connection", "close");
  } else if (version_ == 10) {
    append_header(out, "Connection", "keep-alive");
  }
  return out;
}

asio::awaitable<bool> Responder::transfer(std::span<const asio::const_buffer> buffers,
                                          std::chrono::nanoseconds timeout) {
  deadline_.set(timeout);
  const Transferred sent = co_await connection_.write(buffers);
  deadline_.clear();
  if (sent.error) keep_alive_ = false;
  co_return !sent.error;
}

asio::awaitable<void> Responder::send(HttpResponse response) {
  started_ = true;
  status_ = response.status;
  if (response.close) keep_alive_ = false;
  std::string head = head_of(response);
  if (response.status != 304) {
    append_header(head, "Content-Length", std::to_string(response.body.size()));
  }
  head += "\r\n";
  std::string_view rest = is_head_ ? std::string_view() : std::string_view(response.body);
  std::array buffers = {as_buffer(head), as_buffer(rest.substr(0, kPieceBytes))};
  bool sent = co_await transfer(buffers, limits_.write_timeout);
  while (sent && rest.size() > kPieceBytes) {
    rest.remove_prefix(kPieceBytes);
    const std::array piece = {as_buffer(rest.substr(0, kPieceBytes))};
    sent = co_await transfer(piece, limits_.write_timeout);
  }
}

asio::awaitable<bool> Responder::start(const HttpResponse& head) {
  started_ = true;
  status_ = head.status;
  if (version_ == 10) keep_alive_ = false;  // its end is the end of the connection
  std::string text = head_of(head);
  if (version_ == 11) append_header(text, "Transfer-Encoding", "chunked");
  text += "\r\n";
  const std::array buffers = {as_buffer(text)};
  co_return co_await transfer(buffers, limits_.stream_write_timeout);
}

asio::awaitable<bool> Responder::write(std::string_view bytes) {
  if (bytes.empty() || is_head_) co_return true;  // an empty chunk would be the last
  if (version_ == 10) {
    const std::array buffers = {as_buffer(bytes)};
    co_return co_await transfer(buffers, limits_.stream_write_timeout);
  }
  const std::string size = hex(bytes.size()) + "\r\n";
  const std::array buffers = {as_buffer(size), as_buffer(bytes), as_buffer("\r\n")};
  co_return co_await transfer(buffers, limits_.stream_write_timeout);
}

asio::awaitable<void> Responder::finish(const HeaderList& trailers) {
  if (version_ == 10 || is_head_) co_return;
  std::string text = "0\r\n";
  for (const auto& [name, value] : trailers) append_header(text, name, value);
  text += "\r\n";
  const std::array buffers = {as_buffer(text)};
  co_await transfer(buffers, limits_.stream_write_timeout);
}

void Responder::cut() {
  keep_alive_ = false;
  // Without chunks only a reset differs from a regular end.
  if (version_ == 10) connection_.close(true);
}

}  // namespace clusterd::gateway
