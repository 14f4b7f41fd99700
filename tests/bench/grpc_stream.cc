// How fast one gRPC stream is on this machine, with nothing behind it:
//
//   grpc_stream [--bytes N] [--chunk N]
//
// A server and a client in one process, over TCP on loopback; the server sends chunks that lie in
// its memory, the client drops them. Prints one line of JSON.
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "grpc_stream.grpc.pb.h"
#include "timings.h"

namespace {

using clusterd::bench::ByteStream;
using clusterd::bench::Chunk;
using clusterd::bench::Clock;
using clusterd::bench::seconds_since;
using clusterd::bench::StreamRequest;

constexpr std::chrono::minutes kDeadline(5);

class Source final : public ByteStream::Service {
  grpc::Status Read(grpc::ServerContext* /*context*/, const StreamRequest* request,
                    grpc::ServerWriter<Chunk>* writer) override {
    Chunk chunk;
    chunk.set_data(std::string(static_cast<size_t>(request->chunk_bytes()), 'x'));
    for (int64_t left = request->bytes(); left > 0; left -= request->chunk_bytes()) {
      if (!writer->Write(chunk)) return grpc::Status::CANCELLED;
    }
    return grpc::Status::OK;
  }
};

int measure(const StreamRequest& request) {
  Source source;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&source);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    std::fprintf(stderr, "grpc_stream: no port on 127.0.0.1\n");
    return 1;
  }
  const auto stub = ByteStream::NewStub(
      grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  const Clock::time_point start = Clock::now();
  const auto reader = stub->Read(&context, request);
  int64_t bytes = 0;
  for (Chunk chunk; reader->Read(&chunk);) bytes += static_cast<int64_t>(chunk.data().size());
  const grpc::Status status = reader->Finish();
  const double seconds = seconds_since(start);
  server->Shutdown();
  if (!status.ok()) {
    std::fprintf(stderr, "grpc_stream: %s\n", status.error_message().c_str());
    return 1;
  }
  std::printf("{\"bytes\":%lld,\"seconds\":%.6f,\"mib_per_second\":%.1f}\n",
              static_cast<long long>(bytes), seconds,
              static_cast<double>(bytes) / (1 << 20) / seconds);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  int64_t bytes = 1 << 30;
  int32_t chunk_bytes = 64 << 10;
  CLI::App app("Sends bytes over one gRPC stream and prints how fast that was.");
  app.add_option("--bytes", bytes, "Bytes in all")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--chunk", chunk_bytes, "Bytes of one message")
      ->check(CLI::Range(1, 4 << 20))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  StreamRequest request;
  request.set_bytes(bytes);
  request.set_chunk_bytes(chunk_bytes);
  return measure(request);
}
