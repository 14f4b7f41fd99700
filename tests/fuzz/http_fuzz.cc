#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdlib>

#include "fuzz/fuzz_bytes.h"
#include "gateway/request_reader.h"

// Any bytes on a connection, in pieces of any size, are requests, or a refusal with a status and a
// reason; then the connection ends.
namespace {

using namespace clusterd::gateway;

class Peer final : public Connection {
 public:
  explicit Peer(clusterd::fuzz::Bytes bytes) : bytes_(bytes) {}

  asio::awaitable<boost::system::error_code> open() override {
    co_return boost::system::error_code();
  }
  asio::awaitable<Transferred> read(std::string& buffer, std::size_t limit) override {
    std::string piece;
    const size_t size = std::min<size_t>(limit, 1 + bytes_.byte());
    while (piece.size() < size && !bytes_.empty())
      piece.push_back(static_cast<char>(bytes_.byte()));
    if (piece.empty()) co_return Transferred{asio::error::eof, 0};
    buffer += piece;
    co_return Transferred{{}, piece.size()};
  }
  asio::awaitable<Transferred> write(std::span<const asio::const_buffer> buffers) override {
    size_t size = 0;
    for (const auto& buffer : buffers) size += buffer.size();
    co_return Transferred{{}, size};
  }
  void end_writing() override {}
  void cancel() override {}
  void close(bool /*reset*/) override {}

 private:
  clusterd::fuzz::Bytes bytes_;
};

asio::awaitable<void> serve(RequestReader& reader) {
  while (true) {
    const RequestReader::Outcome outcome = co_await reader.next();
    if (const auto* fault = std::get_if<RequestReader::Fault>(&outcome)) {
      if (fault->status < 400 || fault->status > 599 || fault->detail.empty()) std::abort();
      co_return;
    }
    if (std::holds_alternative<RequestReader::Closed>(outcome)) co_return;
    const auto& request = std::get<HttpRequest>(outcome);
    if (request.verb.empty() || request.path.empty()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const clusterd::SchedulerConfig::HttpServer limits = [] {
    clusterd::SchedulerConfig::HttpServer result;
    result.max_body_bytes = 1024;
    result.max_header_bytes = 2048;
    return result;
  }();
  ClientLedger ledger(limits, [](uint64_t /*id*/) {});
  if (!ledger.connect(1, "127.0.0.1", false, ClientLedger::Time()).ok()) std::abort();
  LedgerEntry account(ledger, 1);
  asio::io_context context;
  Peer peer(clusterd::fuzz::Bytes(data, size));
  Deadline deadline(context.get_executor(), peer);
  RequestReader reader(context.get_executor(), peer, deadline, account, limits);
  bool ended = false;
  asio::co_spawn(context, serve(reader), [&ended](const std::exception_ptr& failure) {
    if (failure) std::abort();
    ended = true;
  });
  while (!ended && context.run_one() > 0) {
  }
  deadline.end();
  if (!ended) std::abort();
  return 0;
}
