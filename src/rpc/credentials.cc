#include "rpc/credentials.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <fstream>
#include <sstream>

namespace clusterd {
namespace {

constexpr int kKeepaliveMs = 20'000;
constexpr int kKeepaliveTimeoutMs = 30'000;    // a short one resets slow readers
constexpr int kMinPingIntervalMs = 10'000;     // below the callers' keepalive time
constexpr int kStreamWindowBytes = 512 << 10;  // what a stalled reader may hold back in one hop

absl::StatusOr<std::string> read_file(const std::string& key, const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError(key + " is needed with use_tls = true");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file) return absl::InvalidArgumentError(key + " = \"" + path + "\" cannot be read");
  return content.str();
}

struct TlsContents {
  std::string crt;
  std::string key;
  std::string ca;
};

absl::StatusOr<TlsContents> read_files(const TlsFiles& files) {
  auto crt = read_file("crt_file", files.crt_file);
  if (!crt.ok()) return crt.status();
  auto key = read_file("key_file", files.key_file);
  if (!key.ok()) return key.status();
  auto ca = read_file("ca_file", files.ca_file);
  if (!ca.ok()) return ca.status();
  return TlsContents{*std::move(crt), *std::move(key), *std::move(ca)};
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> server_credentials(
    const ListenerConfig& listener) {
  if (!listener.use_tls) return grpc::InsecureServerCredentials();
  const auto files = read_files({listener.crt_file, listener.key_file, listener.ca_file});
  if (!files.ok()) return files.status();
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = files->ca;
  options.pem_key_cert_pairs.push_back({files->key, files->crt});
  return grpc::SslServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> channel_credentials(
    const TlsFiles& files) {
  if (files.crt_file.empty() && files.key_file.empty() && files.ca_file.empty()) {
    return grpc::InsecureChannelCredentials();
  }
  const auto contents = read_files(files);
  if (!contents.ok()) return contents.status();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = contents->ca;
  options.pem_private_key = contents->key;
  options.pem_cert_chain = contents->crt;
  return grpc::SslCredentials(options);
}

std::shared_ptr<grpc::Channel> make_channel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kStreamWindowBytes);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

void apply_server_limits(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kStreamWindowBytes);
}

}  // namespace clusterd
