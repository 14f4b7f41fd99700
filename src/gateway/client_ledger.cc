#include "gateway/client_ledger.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/client_name.h"
#include "core/field_error.h"

namespace clusterd::gateway {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr auto kRetrySoon = std::chrono::seconds(1);
constexpr uint64_t kHoldStep = 4096;
constexpr uint64_t kHoldFree = 1024;  // what any connection may hold without being counted

absl::Status share_used(const std::string& what, const std::string& key, uint64_t limit) {
  return with_retry_delay(
      absl::ResourceExhaustedError("too many " + what + " from this address: http_server." + key +
                                   " allows " + std::to_string(limit)),
      kRetrySoon);
}

absl::Status all_used(const std::string& what) {
  return with_retry_delay(absl::UnavailableError("all " + what + " are in use"), kRetrySoon);
}

}  // namespace

ClientLedger::ClientLedger(const SchedulerConfig::HttpServer& limits, Evict evict)
    : limits_(limits), evict_(std::move(evict)) {}

ClientLedger::Client& ClientLedger::client_of(const std::string& address, Time now) {
  const auto [found, is_new] = clients_.try_emplace(client_name(address));
  if (is_new) {
    found->second.credit = limits_.max_request_rate;
    found->second.counted = now;
  }
  return found->second;
}

// A bucket that fills at the allowed rate and holds a second's worth.
absl::Status ClientLedger::charge(Client& client, Time now) const {
  if (limits_.max_request_rate == 0) return absl::OkStatus();
  const double rate = limits_.max_request_rate;
  const double since = std::max(0.0, duration<double>(now - client.counted).count());
  client.credit = std::min(rate, client.credit + rate * since);
  client.counted = now;
  if (client.credit < 1) {
    return share_used("requests a second", "max_request_rate", limits_.max_request_rate);
  }
  client.credit -= 1;
  return absl::OkStatus();
}

// A client that has nothing here and whose bucket is full is as good as one never seen.
void ClientLedger::sweep(Time now) {
  if (clients_.size() < next_sweep_) return;
  std::erase_if(clients_, [now](const auto& entry) {
    const Client& client = entry.second;
    return client.connections == 0 && client.requests == 0 &&
           now - client.counted >= std::chrono::seconds(1);
  });
  next_sweep_ = 2 * clients_.size() + 1024;
}

ClientLedger::Client* ClientLedger::heaviest(uint64_t Client::*amount) {
  Client* found = nullptr;
  for (auto& [name, client] : clients_) {
    if (client.waiting.empty() || client.*amount == 0) continue;
    if (found == nullptr || client.*amount > found->*amount) found = &client;
  }
  return found;
}

absl::Status ClientLedger::connect(uint64_t id, const std::string& address, bool is_proxy,
                                   Time now) {
  const std::lock_guard lock(mutex_);
  sweep(now);
  Client& client = client_of(address, now);
  if (!is_proxy) {
    if (absl::Status status = charge(client, now); !status.ok()) return status;
    if (client.connections >= limits_.max_connections_per_client) {
      if (client.waiting.empty()) {
        return share_used("connections", "max_connections_per_client",
                          limits_.max_connections_per_client);
      }
      evict_oldest(client);
    }
  }
  if (connections_.size() >= limits_.max_connections) {
    Client* const victim = heaviest(&Client::connections);
    const bool is_lighter =
        victim != &client && victim != nullptr && victim->connections <= client.connections;
    if (victim == nullptr || is_lighter) return all_used("connections");
    evict_oldest(*victim);
  }
  ++client.connections;
  const auto place = client.waiting.insert(client.waiting.end(), id);
  connections_[id] = {.client = &client, .place = place};
  return absl::OkStatus();
}

void ClientLedger::disconnect(uint64_t id) {
  const std::lock_guard lock(mutex_);
  forget(id);
}

void ClientLedger::forget(uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;  // it was evicted
  Connection& connection = found->second;
  set_held(connection, 0);
  if (connection.request != nullptr) {
    end_request(connection);
  } else {
    connection.client->waiting.erase(connection.place);
  }
  --connection.client->connections;
  connections_.erase(found);
}

void ClientLedger::evict(uint64_t id) {
  forget(id);
  evict_(id);
}

void ClientLedger::evict_oldest(Client& client) { evict(client.waiting.front()); }

void ClientLedger::evict_oldest_holder(Client& client) {
  const auto holder =
      std::find_if(client.waiting.begin(), client.waiting.end(),
                   [this](uint64_t id) { return connections_.find(id)->second.held > 0; });
  evict(*holder);
}

// Differences of unsigned numbers, so that less and more are the same to the sums.
void ClientLedger::set_held(Connection& connection, uint64_t bytes) {
  const uint64_t difference = bytes - connection.held;
  held_ += difference;
  connection.client->held += difference;
  if (connection.request == nullptr) connection.client->waiting_held += difference;
  connection.held = bytes;
}

void ClientLedger::end_request(Connection& connection) {
  if (std::exchange(connection.is_stream, false)) --connection.request->streams;
  --connection.request->requests;
  connection.request = nullptr;
}

absl::Status ClientLedger::hold(uint64_t id, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(id);
  if (found == connections_.end()) return all_used("connections");
  Connection& connection = found->second;
  Client& client = *connection.client;
  const uint64_t more = bytes - std::min(bytes, connection.held);
  while (held_ + more > limits_.max_request_memory_bytes) {
    Client* const victim = heaviest(&Client::waiting_held);
    if (victim == nullptr) return all_used("bytes for requests");
    if (victim == &client || victim->held <= client.held + more) {
      return share_used("bytes of requests", "max_request_memory",
                        limits_.max_request_memory_bytes);
    }
    evict_oldest_holder(*victim);
  }
  set_held(connection, bytes);
  return absl::OkStatus();
}

absl::Status ClientLedger::take_request(uint64_t id, const std::string& address, Time now) {
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(id);
  if (found == connections_.end()) return all_used("connections");
  sweep(now);
  Connection& connection = found->second;
  Client& client = client_of(address, now);
  connection.client->waiting.erase(connection.place);
  connection.client->waiting_held -= connection.held;
  connection.request = &client;
  ++client.requests;
  return charge(client, now);
}

absl::Status ClientLedger::begin_stream(uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(id);
  if (found == connections_.end() || found->second.request == nullptr) {
    return all_used("connections");
  }
  Connection& connection = found->second;
  if (connection.is_stream) return absl::OkStatus();
  if (connection.request->streams >= limits_.max_streams_per_client) {
    return share_used("streams and waits", "max_streams_per_client",
                      limits_.max_streams_per_client);
  }
  ++connection.request->streams;
  connection.is_stream = true;
  return absl::OkStatus();
}

void ClientLedger::await_request(uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = found->second;
  set_held(connection, 0);
  if (connection.request == nullptr) return;
  end_request(connection);
  auto& waiting = connection.client->waiting;
  connection.place = waiting.insert(waiting.end(), id);
}

absl::Status LedgerEntry::hold(uint64_t bytes) {
  const uint64_t rounded = bytes <= kHoldFree ? 0 : (bytes + kHoldStep - 1) / kHoldStep * kHoldStep;
  if (rounded == held_) return absl::OkStatus();
  absl::Status status = ledger_.hold(id_, rounded);
  if (status.ok()) held_ = rounded;
  return status;
}

absl::Status LedgerEntry::take_request(const std::string& address) {
  return ledger_.take_request(id_, address, steady_clock::now());
}

void LedgerEntry::await_request() {
  held_ = 0;
  ledger_.await_request(id_);
}

}  // namespace clusterd::gateway
