#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

#include "absl/status/status.h"
#include "core/config.h"

namespace clusterd::gateway {

// Counts what each client takes of the gateway, and decides who gives way where it is full: the
// client that holds most, and of its connections the one that has been waiting for a request, or
// for the rest of one, for longest. Nobody who asks for little is refused because of one who asks
// for much. A client is an IPv4 address, or the /64 network of an IPv6 one.
//
// Any thread: connections are served on several, so this is one of the few classes with a mutex
// (see docs/architecture.md#threads). Time is an argument. Owned by HttpGateway; outlives every
// session.
class ClientLedger {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // Ends a connection. Called with the mutex held: must not block or call back.
  using Evict = std::function<void(uint64_t id)>;

  // `limits` outlives this.
  ClientLedger(const SchedulerConfig::HttpServer& limits, Evict evict);
  ClientLedger(const ClientLedger&) = delete;
  ClientLedger& operator=(const ClientLedger&) = delete;

  // A new connection, which waits for a request. One of a proxy counts for the clients behind it
  // (see take_request), not for itself. UNAVAILABLE: all connections are in use;
  // RESOURCE_EXHAUSTED: this client has its share. On error it is not in the ledger. Others may be
  // evicted for it.
  [[nodiscard]] absl::Status connect(uint64_t id, const std::string& address, bool is_proxy,
                                     Time now);
  void disconnect(uint64_t id);

  // So many bytes of a request are in memory for the connection; replaces what it said before.
  // RESOURCE_EXHAUSTED: this client holds more than any other; UNAVAILABLE: all of it is in use.
  // After an error nothing has changed.
  [[nodiscard]] absl::Status hold(uint64_t id, uint64_t bytes);
  // A whole request has come from `address`: the connection is not evicted until await_request().
  // RESOURCE_EXHAUSTED: too many from there.
  [[nodiscard]] absl::Status take_request(uint64_t id, const std::string& address, Time now);
  // The answer to it lasts: a stream, or a wait. RESOURCE_EXHAUSTED: its client has its share.
  [[nodiscard]] absl::Status begin_stream(uint64_t id);
  // The request has been answered; nothing is held any more.
  void await_request(uint64_t id);

 private:
  struct Client {
    uint64_t connections = 0;     // from there
    uint64_t requests = 0;        // being answered
    uint64_t streams = 0;         // of these
    uint64_t held = 0;            // bytes, by its connections
    uint64_t waiting_held = 0;    // of these, by connections without a whole request
    std::list<uint64_t> waiting;  // connections without a whole request, longest first
    double credit = 0;            // requests that it may send at once, as of `counted`
    Time counted;
  };
  struct Connection {
    Client* client = nullptr;   // where it comes from
    Client* request = nullptr;  // who sent what is being answered; null: waits
    bool is_stream = false;
    uint64_t held = 0;
    std::list<uint64_t>::iterator place;  // in `waiting`, while it waits
  };

  // All with mutex_ held.
  Client& client_of(const std::string& address, Time now);
  [[nodiscard]] absl::Status charge(Client& client, Time now) const;
  void sweep(Time now);
  void set_held(Connection& connection, uint64_t bytes);
  void end_request(Connection& connection);
  void forget(uint64_t id);
  // Of those that wait, or of those that wait and hold something.
  void evict_oldest(Client& client);
  void evict_oldest_holder(Client& client);
  void evict(uint64_t id);
  // The client that has most of `amount` among those with a connection that can be evicted.
  Client* heaviest(uint64_t Client::*amount);

  const SchedulerConfig::HttpServer& limits_;
  const Evict evict_;
  std::mutex mutex_;
  std::unordered_map<std::string, Client> clients_;  // guarded by mutex_
  std::unordered_map<uint64_t, Connection>
      connections_;           // guarded by mutex_; none that was evicted
  uint64_t held_ = 0;         // guarded by mutex_
  size_t next_sweep_ = 1024;  // clients; guarded by mutex_
};

// One connection's entry in the ledger, from its admission to its end. Owned by its HttpSession; on
// its strand only.
class LedgerEntry {
 public:
  LedgerEntry(ClientLedger& ledger, uint64_t id) : ledger_(ledger), id_(id) {}
  ~LedgerEntry() { ledger_.disconnect(id_); }
  LedgerEntry(const LedgerEntry&) = delete;
  LedgerEntry& operator=(const LedgerEntry&) = delete;

  // As in ClientLedger, which is asked only where the amount has changed by a step.
  [[nodiscard]] absl::Status hold(uint64_t bytes);
  [[nodiscard]] absl::Status take_request(const std::string& address);
  [[nodiscard]] absl::Status begin_stream() { return ledger_.begin_stream(id_); }
  void await_request();

 private:
  ClientLedger& ledger_;
  const uint64_t id_;
  uint64_t held_ = 0;
};

}  // namespace clusterd::gateway
