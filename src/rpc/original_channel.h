#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>

namespace clusterd {

// A channel to a program of one of the two earlier systems. Unlike make_channel() it sends no
// keepalive pings, for which Go's servers end a connection, and it does not go idle by itself.
[[nodiscard]] std::shared_ptr<grpc::Channel> make_original_channel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials);

}  // namespace clusterd
