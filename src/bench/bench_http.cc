#include "bench/bench_http.h"

#include <boost/beast/http/parser.hpp>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "bench/bench_socket.h"
#include "core/address.h"

namespace clusterd::bench {
namespace {

namespace beast_http = boost::beast::http;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kConnectTimeout(10);
constexpr size_t kReadBytes = 256U << 10;
constexpr size_t kMostErrorBytes = 512;

// A body that goes where it is wanted, piece by piece, and is not kept.
struct SinkBody {
  using value_type = const HttpConnection::Sink*;

  class reader {
   public:
    template <bool is_request, typename Fields>
    reader(beast_http::header<is_request, Fields>& /*head*/, value_type& sink) : sink_(sink) {}

    void init(const boost::optional<uint64_t>& /*length*/, boost::beast::error_code& error) {
      error = {};
    }
    template <typename Buffers>
    size_t put(const Buffers& buffers, boost::beast::error_code& error) {
      error = {};
      size_t bytes = 0;
      for (auto at = boost::asio::buffer_sequence_begin(buffers);
           at != boost::asio::buffer_sequence_end(buffers); ++at) {
        const boost::asio::const_buffer piece = *at;
        (*sink_)({static_cast<const char*>(piece.data()), piece.size()});
        bytes += piece.size();
      }
      return bytes;
    }
    void finish(boost::beast::error_code& error) { error = {}; }

   private:
    value_type& sink_;
  };
};

using Parser = beast_http::response_parser<SinkBody>;

std::string headers_of(const HttpEndpoint& endpoint) {
  std::string headers = absl::StrCat(" HTTP/1.1\r\nHost: ", endpoint.addr, "\r\n");
  if (!endpoint.token.empty()) {
    absl::StrAppend(&headers, "Authorization: Bearer ", endpoint.token, "\r\n");
  }
  return headers;
}

}  // namespace

absl::StatusOr<HttpEndpoint> HttpEndpoint::parse(const std::string& text,
                                                 const ClientConfig& client) {
  HttpEndpoint endpoint{.addr = "",
                        .use_tls = false,
                        .token = client.token,
                        .ca_file = client.ca_file,
                        .crt_file = client.crt_file,
                        .key_file = client.key_file};
  absl::string_view rest = text;
  endpoint.use_tls = absl::ConsumePrefix(&rest, "https://");
  if (!endpoint.use_tls) (void)absl::ConsumePrefix(&rest, "http://");
  endpoint.addr = std::string(rest);
  const auto address = parse_address(endpoint.addr);
  if (!address.ok()) return address.status();
  if (address->host.empty() || address->port == 0) {
    return absl::InvalidArgumentError("\"" + endpoint.addr +
                                      "\" needs a host and a port from 1 to 65535");
  }
  if (!endpoint.token.empty() && !endpoint.use_tls && !is_loopback(address->host)) {
    return absl::InvalidArgumentError("the token would go to " + endpoint.addr +
                                      " in the open; give https://" + endpoint.addr);
  }
  return endpoint;
}

HttpConnection::HttpConnection(const HttpEndpoint& endpoint, std::unique_ptr<Socket> socket)
    : headers_(headers_of(endpoint)), socket_(std::move(socket)), buffer_(kReadBytes, '\0') {}
HttpConnection::~HttpConnection() = default;

absl::StatusOr<std::unique_ptr<HttpConnection>> HttpConnection::open(const HttpEndpoint& endpoint,
                                                                     const StopFd& stop) {
  auto socket = std::make_unique<Socket>(stop);
  const absl::Status status = socket->open(endpoint, steady_clock::now() + kConnectTimeout);
  if (!status.ok()) return status;
  return std::unique_ptr<HttpConnection>(new HttpConnection(endpoint, std::move(socket)));
}

absl::StatusOr<HttpConnection::Answer> HttpConnection::get(const std::string& target,
                                                           std::chrono::nanoseconds timeout) {
  return call("GET ", target, "", nullptr, timeout);
}

absl::StatusOr<HttpConnection::Answer> HttpConnection::post(const std::string& target,
                                                            const std::string& json,
                                                            std::chrono::nanoseconds timeout) {
  return call("POST ", target, json, nullptr, timeout);
}

absl::StatusOr<HttpConnection::Answer> HttpConnection::stream(const std::string& target,
                                                              const Sink& sink,
                                                              std::chrono::nanoseconds timeout) {
  return call("GET ", target, "", sink, timeout);
}

absl::StatusOr<HttpConnection::Answer> HttpConnection::call(std::string_view method,
                                                            const std::string& target,
                                                            const std::string& json,
                                                            const Sink& sink,
                                                            std::chrono::nanoseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  std::string request =
      absl::StrCat(absl::string_view(method.data(), method.size()), target, headers_);
  if (!json.empty()) {
    absl::StrAppend(&request, "Content-Type: application/json\r\nContent-Length: ", json.size(),
                    "\r\n");
  }
  absl::StrAppend(&request, "\r\n", json);
  socket_->set_heeds_stop(json.empty());
  if (absl::Status status = socket_->write(request, deadline); !status.ok()) return status;
  return read_answer(sink, deadline);
}

absl::StatusOr<HttpConnection::Answer> HttpConnection::read_answer(
    const Sink& sink, steady_clock::time_point deadline) {
  Answer answer;
  Parser parser;
  const Sink keep = [&](std::string_view piece) {
    if (sink != nullptr && parser.get().result_int() == 200) return sink(piece);
    answer.body += piece;
  };
  parser.get().body() = &keep;
  parser.body_limit(boost::none);
  parser.eager(true);
  while (!parser.is_done()) {
    boost::beast::error_code error = beast_http::error::need_more;
    if (buffered_ > 0) {
      const size_t used = parser.put(boost::asio::const_buffer(buffer_.data(), buffered_), error);
      buffered_ -= used;
      if (used > 0) std::memmove(buffer_.data(), buffer_.data() + used, buffered_);
      if (error && error != beast_http::error::need_more) {
        return absl::DataLossError("the answer is no HTTP: " + error.message());
      }
      if (parser.is_done()) break;
      if (!error && used > 0) continue;
    }
    if (buffered_ == buffer_.size()) return absl::DataLossError("the answer's head is too long");
    const auto count =
        socket_->read(buffer_.data() + buffered_, buffer_.size() - buffered_, deadline);
    if (!count.ok()) return count.status();
    buffered_ += *count;
  }
  answer.status = parser.get().result_int();
  answer.location = std::string(parser.get()[beast_http::field::location]);
  return answer;
}

absl::Status check_status(const HttpConnection::Answer& answer, unsigned expected) {
  if (answer.status == expected) return absl::OkStatus();
  const std::string text = absl::StrCat("HTTP status ", answer.status, " instead of ", expected,
                                        ": ", answer.body.substr(0, kMostErrorBytes));
  switch (answer.status) {
    case 401:
      return absl::UnauthenticatedError(text);
    case 403:
      return absl::PermissionDeniedError(text);
    case 429:
      return absl::ResourceExhaustedError(text);
    case 503:
      return absl::UnavailableError(text);
    default:
      return absl::InternalError(text);
  }
}

}  // namespace clusterd::bench
