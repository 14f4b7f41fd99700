#include "rpc/original_channel.h"

#include <grpcpp/create_channel.h>

#include <climits>

namespace clusterd {
namespace {

constexpr int kFirstReconnectMs = 100;
constexpr int kLeastReconnectMs = 1000;
constexpr int kMostReconnectMs = 2000;

}  // namespace

std::shared_ptr<grpc::Channel> make_original_channel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, INT_MAX);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kLeastReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMostReconnectMs);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

}  // namespace clusterd
