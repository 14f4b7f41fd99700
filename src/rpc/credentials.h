#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/config.h"

namespace clusterd {

// Files of one side of a mutually authenticated link; all empty: plaintext.
struct TlsFiles {
  std::string crt_file;
  std::string key_file;
  std::string ca_file;
};

// What a listener presents and demands. INVALID_ARGUMENT names the missing or unreadable file.
[[nodiscard]] absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> server_credentials(
    const ListenerConfig& listener);

// What a caller presents and demands. INVALID_ARGUMENT names the missing or unreadable file.
[[nodiscard]] absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> channel_credentials(
    const TlsFiles& files);

// A channel with our keepalive, window and size limits. Channels made for one owner share no
// connection with others to the same address.
[[nodiscard]] std::shared_ptr<grpc::Channel> make_channel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials);

// The same limits on the listening side; no port sharing.
void apply_server_limits(grpc::ServerBuilder& builder);

// Largest message that either side accepts.
inline constexpr int kMaxMessageBytes = 16 << 20;

}  // namespace clusterd
