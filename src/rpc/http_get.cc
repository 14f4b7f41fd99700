#include "rpc/http_get.h"

#include <openssl/err.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/clock.h"
#include "rpc/openssl.h"

namespace clusterd {
namespace {

constexpr size_t kMostBytes = 1 << 20;

struct Url {
  bool is_tls = false;
  std::string authority;  // "host:port"
  std::string path;
};

absl::StatusOr<Url> parse_url(const std::string& text) {
  Url url;
  absl::string_view rest = text;
  url.is_tls = absl::ConsumePrefix(&rest, "https://");
  if (!url.is_tls && !absl::ConsumePrefix(&rest, "http://")) {
    return absl::InvalidArgumentError("\"" + text + "\" is no http or https URL");
  }
  const size_t slash = rest.find('/');
  url.authority = std::string(rest.substr(0, slash));
  url.path = slash == absl::string_view::npos ? "/" : std::string(rest.substr(slash));
  const size_t colon = url.authority.rfind(':');
  const bool has_port =
      colon != std::string::npos && url.authority.find(']', colon) == std::string::npos;
  if (url.authority.empty() || url.authority.front() == ':') {
    return absl::InvalidArgumentError("\"" + text + "\" names no host");
  }
  if (!has_port) url.authority += url.is_tls ? ":443" : ":80";
  return url;
}

// A connection that waits no longer than until a deadline.
class Connection {
 public:
  Connection(const Url& url, BootTime deadline) : url_(url), deadline_(deadline) {}

  absl::Status open() {
    if (url_.is_tls) {
      context_.reset(SSL_CTX_new(TLS_client_method()));
      bio_.reset(BIO_new_ssl_connect(context_.get()));
    } else {
      bio_.reset(BIO_new(BIO_s_connect()));
    }
    if (bio_ == nullptr) return absl::InternalError(openssl_error());
    BIO_set_conn_hostname(bio_.get(), url_.authority.c_str());
    BIO_set_nbio(bio_.get(), 1);
    return repeat([this] { return static_cast<int>(BIO_do_connect(bio_.get())); }).status();
  }

  absl::Status write(std::string_view text) {
    while (!text.empty()) {
      const auto count =
          repeat([&] { return BIO_write(bio_.get(), text.data(), static_cast<int>(text.size())); });
      if (!count.ok()) return count.status();
      text.remove_prefix(static_cast<size_t>(*count));
    }
    return absl::OkStatus();
  }

  // All until the other side closes.
  absl::StatusOr<std::string> read() {
    std::string all;
    std::array<char, 16 << 10> piece{};
    while (all.size() <= kMostBytes) {
      const auto count = repeat(
          [&] { return BIO_read(bio_.get(), piece.data(), static_cast<int>(piece.size())); });
      if (absl::IsUnavailable(count.status()) && !all.empty()) return all;  // closed without a word
      if (!count.ok()) return count.status();
      if (*count == 0) return all;
      all.append(piece.data(), static_cast<size_t>(*count));
    }
    return absl::DataLossError(url_.authority + " answers with more than 1 MiB");
  }

 private:
  // Calls `step` until it does not ask to wait; a count, 0 at the end.
  template <typename Step>
  absl::StatusOr<int> repeat(Step step) {
    while (true) {
      errno = 0;
      const int result = step();
      if (result > 0) return result;
      if (!BIO_should_retry(bio_.get())) {
        const bool is_end = result == 0 && ERR_peek_error() == 0;
        if (is_end) return 0;
        return absl::UnavailableError(absl::StrCat(url_.authority, ": ", openssl_error()));
      }
      if (auto status = wait(); !status.ok()) return status;
    }
  }

  absl::Status wait() {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - SystemClock().now().boot);
    int socket = -1;
    BIO_get_fd(bio_.get(), &socket);
    const bool wants_read = BIO_should_read(bio_.get()) != 0;
    pollfd waited{socket, static_cast<short>(wants_read ? POLLIN : POLLOUT), 0};
    if (left.count() > 0 && ::poll(&waited, 1, static_cast<int>(left.count())) != 0) {
      return absl::OkStatus();
    }
    return absl::DeadlineExceededError(url_.authority + " does not answer in time");
  }

  const Url& url_;
  const BootTime deadline_;
  SslContextPtr context_;
  BioPtr bio_;
};

absl::StatusOr<HttpAnswer> parse_answer(const std::string& authority, const std::string& text) {
  const size_t end = text.find("\r\n\r\n");
  HttpAnswer answer;
  const bool is_http = absl::StartsWith(text, "HTTP/1.") && text.size() > 12;
  if (!is_http || end == std::string::npos ||
      std::from_chars(text.data() + 9, text.data() + 12, answer.status).ec != std::errc()) {
    return absl::DataLossError(authority + " does not answer in HTTP/1");
  }
  for (const absl::string_view line : absl::StrSplit(text.substr(0, end), "\r\n")) {
    if (!absl::StartsWithIgnoreCase(line, "date:")) continue;
    answer.date = std::string(absl::StripAsciiWhitespace(line.substr(5)));
  }
  answer.body = text.substr(end + 4);
  return answer;
}

}  // namespace

absl::StatusOr<HttpAnswer> http_get(const std::string& url, std::chrono::milliseconds limit) {
  const auto parts = parse_url(url);
  if (!parts.ok()) return parts.status();
  Connection connection(*parts, SystemClock().now().boot + limit);
  if (auto status = connection.open(); !status.ok()) return status;
  // HTTP/1.0: the answer is not in chunks, and its end is that of the connection.
  const auto asked = connection.write(
      absl::StrCat("GET ", parts->path, " HTTP/1.0\r\nHost: ", parts->authority, "\r\n\r\n"));
  if (!asked.ok()) return asked;
  const auto text = connection.read();
  if (!text.ok()) return text.status();
  return parse_answer(parts->authority, *text);
}

}  // namespace clusterd
