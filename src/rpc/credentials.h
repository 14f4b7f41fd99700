#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <memory>
#include <string>

#include "core/config.h"

namespace clusterd {

// A channel with our keepalive, window and size limits. Channels made for one owner share no
// connection with others to the same address.
[[nodiscard]] std::shared_ptr<grpc::Channel> make_channel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials);

// The same limits on the listening side; no port sharing.
void apply_server_limits(grpc::ServerBuilder& builder);
// Connections are made anew after about this long, so that an expired certificate is out by then.
// Calls and streams that are under way go on.
void apply_connection_age(grpc::ServerBuilder& builder, std::chrono::nanoseconds age);

// What strangers may take of one connection: calls at one time, handshakes and silence.
void apply_stranger_limits(grpc::ServerBuilder& builder, const SchedulerConfig::GrpcServer& limits);

// Largest message that either side accepts.
inline constexpr int kMaxMessageBytes = 16 << 20;

}  // namespace clusterd
