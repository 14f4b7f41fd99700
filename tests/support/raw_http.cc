#include "support/raw_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace clusterd::testing {
namespace {

constexpr int kPatienceSeconds = 10;

// Catch's assertions are for the test's own thread alone; this client is used on others too.
void must(bool fine) {
  if (fine) return;
  std::perror("RawHttp");
  std::abort();
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string find(const std::map<std::string, std::string>& fields, const std::string& name) {
  const auto entry = fields.find(name);
  return entry == fields.end() ? "" : entry->second;
}

}  // namespace

std::string RawResponse::header(const std::string& name) const { return find(headers, name); }
std::string RawResponse::trailer(const std::string& name) const { return find(trailers, name); }

RawHttp::RawHttp(const std::string& address, const std::string& from) : host_(address) {
  const size_t colon = address.rfind(':');
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
  must(inet_pton(AF_INET, address.substr(0, colon).c_str(), &peer.sin_addr) == 1);
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(socket_ >= 0);
  const timeval patience{.tv_sec = kPatienceSeconds, .tv_usec = 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (!from.empty()) {
    sockaddr_in ours{};
    ours.sin_family = AF_INET;
    must(inet_pton(AF_INET, from.c_str(), &ours.sin_addr) == 1);
    must(::bind(socket_, reinterpret_cast<const sockaddr*>(&ours), sizeof ours) == 0);
  }
  must(::connect(socket_, reinterpret_cast<const sockaddr*>(&peer), sizeof peer) == 0);
}

RawHttp::~RawHttp() { close(); }

void RawHttp::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void RawHttp::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the peer has closed: the test sees it when it reads
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

bool RawHttp::fill() {
  std::array<char, 65536> piece{};
  const ssize_t got = ::recv(socket_, piece.data(), piece.size(), 0);
  if (got <= 0) return false;
  buffer_.append(piece.data(), static_cast<size_t>(got));
  return true;
}

std::optional<std::string> RawHttp::take_line() {
  size_t end = buffer_.find("\r\n");
  while (end == std::string::npos) {
    if (!fill()) return std::nullopt;
    end = buffer_.find("\r\n");
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

std::optional<std::string> RawHttp::take(size_t count) {
  while (buffer_.size() < count) {
    if (!fill()) return std::nullopt;
  }
  std::string bytes = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return bytes;
}

void RawHttp::read_fields(std::map<std::string, std::string>& fields, std::string* text) {
  while (const auto line = take_line()) {
    if (line->empty()) return;
    if (text) *text += *line + "\r\n";
    const size_t colon = line->find(": ");
    if (colon != std::string::npos) fields[lower(line->substr(0, colon))] = line->substr(colon + 2);
  }
}

RawResponse RawHttp::receive_head() {
  RawResponse response;
  const auto line = take_line();
  if (!line || line->size() < 12) return response;
  response.head = *line + "\r\n";
  response.status = std::stoi(line->substr(9, 3));
  read_fields(response.headers, &response.head);
  return response;
}

std::optional<std::string> RawHttp::read_chunk() {
  const auto size = take_line();
  if (!size || size->empty()) return std::nullopt;
  const size_t count = std::stoul(*size, nullptr, 16);
  if (count == 0) return "";
  auto bytes = take(count);
  if (bytes && !take_line()) return std::nullopt;
  return bytes;
}

void RawHttp::read_chunks(RawResponse& response) {
  while (const auto chunk = read_chunk()) {
    if (chunk->empty()) {
      read_fields(response.trailers, nullptr);
      response.complete = true;
      return;
    }
    response.body += *chunk;
  }
}

RawResponse RawHttp::receive(bool to_head) {
  RawResponse response = receive_head();
  if (to_head || response.status == 0) {
    response.complete = response.status != 0;
    return response;
  }
  if (response.header("transfer-encoding") == "chunked") {
    read_chunks(response);
    return response;
  }
  const std::string length = response.header("content-length");
  if (!length.empty()) {
    const auto body = take(std::stoul(length));
    response.body = body.value_or("");
    response.complete = body.has_value();
    return response;
  }
  while (fill()) continue;
  response.body = std::move(buffer_);
  buffer_.clear();
  response.complete = true;
  return response;
}

RawResponse RawHttp::request(const std::string& verb, const std::string& target,
                             const std::string& body, const std::string& headers) {
  std::string text = verb + " " + target + " HTTP/1.1\r\nHost: " + host_ + "\r\n" + headers;
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  send(text + "\r\n" + body);
  return receive(verb == "HEAD");
}

bool RawHttp::has_answer(std::chrono::milliseconds within) {
  pollfd file{.fd = socket_, .events = POLLIN, .revents = 0};
  return !buffer_.empty() || ::poll(&file, 1, static_cast<int>(within.count())) > 0;
}

bool RawHttp::at_end() { return buffer_.empty() && !fill() && errno != EAGAIN; }

}  // namespace clusterd::testing
