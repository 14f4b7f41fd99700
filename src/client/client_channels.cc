#include "client/client_channels.h"

#include <grpcpp/security/credentials.h>

#include <utility>

#include "core/address.h"
#include "rpc/credentials.h"

namespace clusterd {
namespace {

constexpr std::chrono::seconds kLookInterval(1);  // at the certificates' files

absl::Status check(const ClientOptions& options) {
  const auto bad = [](const std::string& text) { return absl::InvalidArgumentError(text); };
  if (options.addresses.empty()) return bad("addresses: is empty; one host:port is needed");
  for (const std::string& text : options.addresses) {
    const auto address = parse_address(text);
    if (!address.ok()) return bad("addresses: " + std::string(address.status().message()));
    if (address->host.empty() || address->port == 0) {
      return bad("addresses: \"" + text + "\" needs a host and a port from 1 to 65535");
    }
    if (!options.token.empty() && options.ca_file.empty() && !is_loopback(address->host)) {
      return bad("token: it would go to " + text + " in the open; give ca_file too");
    }
  }
  if (options.crt_file.empty() != options.key_file.empty()) {
    return bad("crt_file: a certificate and its key go together: crt_file and key_file");
  }
  if (options.ca_file.empty() && !options.crt_file.empty()) {
    return bad("crt_file: is shown with TLS only: ca_file is needed too");
  }
  if (options.max_attempts == 0) return bad("max_attempts: 0; at least 1 is needed");
  if (options.deadline.count() <= 0) return bad("deadline: must be more than 0");
  if (options.patience.count() < 0) return bad("patience: must not be negative");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ClientChannels>> ClientChannels::make(const ClientOptions& options) {
  if (auto status = check(options); !status.ok()) return status;
  std::unique_ptr<ClientChannels> channels(new ClientChannels(options.addresses));
  const std::lock_guard lock(channels->mutex_);
  if (!options.ca_file.empty()) {
    auto keeper = TlsKeeper::make(
        "",
        {.crt_file = options.crt_file, .key_file = options.key_file, .ca_file = options.ca_file});
    if (!keeper.ok()) return keeper.status();
    FileWatch files((*keeper)->files());
    channels->tls_.emplace(Tls{*std::move(keeper), std::move(files)});
  }
  channels->connect();
  return channels;
}

void ClientChannels::connect() {
  endpoints_.clear();
  for (const std::string& text : addresses_) {
    auto credentials = grpc::InsecureChannelCredentials();
    if (tls_) {
      const auto address = parse_address(text);
      credentials = tls_->keeper->channel_credentials(
          {ExpectedPeer::Kind::kSchedulerOrHost, address.ok() ? address->host : ""});
    }
    auto endpoint = std::make_shared<ClientEndpoint>();
    endpoint->address = text;
    endpoint->channel = make_channel(text, credentials);
    endpoint->stub = v1::SchedulerService::NewStub(endpoint->channel);
    endpoints_.push_back(std::move(endpoint));
  }
}

std::shared_ptr<ClientEndpoint> ClientChannels::current() {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (tls_ && now >= next_look_) {
    next_look_ = now + kLookInterval;
    if (tls_->files.look() && tls_->keeper->reload().ok()) connect();
  }
  return endpoints_[current_];
}

void ClientChannels::leave(const ClientEndpoint& endpoint) {
  const std::lock_guard lock(mutex_);
  if (endpoints_[current_].get() == &endpoint) current_ = (current_ + 1) % endpoints_.size();
}

}  // namespace clusterd
