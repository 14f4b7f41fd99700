#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace clusterd::testing {

// An answer as it came over the wire, chunks put together.
struct RawResponse {
  int status = 0;
  std::string head;  // status line and headers, as sent
  std::string body;
  std::map<std::string, std::string> headers;   // names in lower case
  std::map<std::string, std::string> trailers;  // the same
  bool complete = false;                        // false: cut before its end

  [[nodiscard]] std::string header(const std::string& name) const;
  [[nodiscard]] std::string trailer(const std::string& name) const;
};

// One blocking client connection that sends bytes as they are told and reads answers. Every wait
// ends after 10 s. One thread.
class RawHttp {
 public:
  // `address`: HOST:PORT of an IPv4 listener. `from`: the address that it comes from.
  explicit RawHttp(const std::string& address, const std::string& from = "");
  ~RawHttp();
  RawHttp(const RawHttp&) = delete;
  RawHttp& operator=(const RawHttp&) = delete;

  void send(std::string_view bytes);
  // The next answer; `to_head`: to a HEAD request, so without a body.
  RawResponse receive(bool to_head = false);
  // Head only; what follows stays for read_chunk().
  RawResponse receive_head();
  // The next chunk; empty for the last one, absent where the stream was cut.
  std::optional<std::string> read_chunk();
  // Sends a request with Host and Content-Length, and receives its answer.
  RawResponse request(const std::string& verb, const std::string& target,
                      const std::string& body = "", const std::string& headers = "");
  // Something has come, or the end has, within this time.
  [[nodiscard]] bool has_answer(std::chrono::milliseconds within);
  // The peer has closed the connection and sent nothing more.
  bool at_end();
  void close();

 private:
  bool fill();  // false at the end
  std::optional<std::string> take_line();
  std::optional<std::string> take(size_t count);
  void read_fields(std::map<std::string, std::string>& fields, std::string* text);
  void read_chunks(RawResponse& response);

  int socket_ = -1;
  std::string host_;
  std::string buffer_;
};

}  // namespace clusterd::testing
