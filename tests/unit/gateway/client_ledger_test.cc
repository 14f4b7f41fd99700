#include "gateway/client_ledger.h"

#include <catch2/catch.hpp>
#include <vector>

using namespace clusterd;
using clusterd::gateway::ClientLedger;
using namespace std::chrono_literals;

namespace {

using Ids = std::vector<uint64_t>;

const ClientLedger::Time kStart = ClientLedger::Time() + 1000s;
constexpr uint64_t kMiB = 1 << 20;

struct Fixture {
  explicit Fixture(const SchedulerConfig::HttpServer& its_limits) : limits(its_limits) {}

  bool connect(uint64_t id, const std::string& address, bool is_proxy = false) {
    return ledger.connect(id, address, is_proxy, kStart).ok();
  }
  // A connection with a request that is being answered.
  void serve(uint64_t id, const std::string& address) {
    REQUIRE(connect(id, address));
    REQUIRE(ledger.take_request(id, address, kStart).ok());
  }

  const SchedulerConfig::HttpServer limits;
  Ids evicted;
  ClientLedger ledger{limits, [this](uint64_t id) { evicted.push_back(id); }};
};

SchedulerConfig::HttpServer limits_of(uint32_t connections, uint32_t of_one) {
  SchedulerConfig::HttpServer limits;
  limits.max_connections = connections;
  limits.max_connections_per_client = of_one;
  limits.max_streams_per_client = 2;
  limits.max_request_memory_bytes = 4 * kMiB;
  return limits;
}

}  // namespace

TEST_CASE("where all connections are taken, the heaviest client's oldest gives way", "[ledger]") {
  Fixture fixture(limits_of(4, 3));
  CHECK(fixture.connect(1, "10.0.0.1"));
  CHECK(fixture.connect(2, "10.0.0.2"));
  CHECK(fixture.connect(3, "10.0.0.2"));
  CHECK(fixture.connect(4, "10.0.0.2"));

  CHECK(fixture.connect(5, "10.0.0.3"));

  CHECK(fixture.evicted == Ids{2});
}

TEST_CASE("a client at its own bound replaces its own oldest connection", "[ledger]") {
  Fixture fixture(limits_of(100, 2));
  CHECK(fixture.connect(1, "10.0.0.1"));
  CHECK(fixture.connect(2, "10.0.0.2"));
  CHECK(fixture.connect(3, "10.0.0.2"));

  CHECK(fixture.connect(4, "10.0.0.2"));

  CHECK(fixture.evicted == Ids{2});
}

TEST_CASE("a connection that is being answered is never evicted", "[ledger]") {
  Fixture fixture(limits_of(3, 2));
  fixture.serve(1, "10.0.0.1");
  fixture.serve(2, "10.0.0.1");

  const absl::Status own = fixture.ledger.connect(3, "10.0.0.1", false, kStart);
  fixture.serve(4, "10.0.0.2");
  const absl::Status all = fixture.ledger.connect(5, "10.0.0.3", false, kStart);

  CHECK(absl::IsResourceExhausted(own));
  CHECK_THAT(std::string(own.message()), Catch::Contains("http_server.max_connections_per_client"));
  CHECK(absl::IsUnavailable(all));
  CHECK(fixture.evicted.empty());

  fixture.ledger.await_request(1);
  CHECK(fixture.connect(6, "10.0.0.3"));
  CHECK(fixture.evicted == Ids{1});
}

TEST_CASE("a client with much does not push out one with little", "[ledger]") {
  Fixture fixture(limits_of(4, 4));
  fixture.serve(1, "10.0.0.1");
  fixture.serve(2, "10.0.0.1");
  fixture.serve(3, "10.0.0.1");
  CHECK(fixture.connect(4, "10.0.0.2"));

  CHECK_FALSE(fixture.connect(5, "10.0.0.1"));

  CHECK(fixture.evicted.empty());
}

TEST_CASE("a connection that ended makes room", "[ledger]") {
  Fixture fixture(limits_of(1, 1));
  fixture.serve(1, "10.0.0.1");
  CHECK_FALSE(fixture.connect(2, "10.0.0.1"));

  fixture.ledger.disconnect(1);

  CHECK(fixture.connect(3, "10.0.0.1"));
}

TEST_CASE("requests beyond the rate are refused until time has passed", "[ledger]") {
  SchedulerConfig::HttpServer limits = limits_of(10, 10);
  limits.max_request_rate = 3;
  Fixture fixture(limits);
  CHECK(fixture.connect(1, "10.0.0.1"));  // one of the three
  CHECK(fixture.connect(2, "10.0.0.2"));
  const auto ask = [&fixture](uint64_t id, const std::string& address, ClientLedger::Time now) {
    const absl::Status status = fixture.ledger.take_request(id, address, now);
    fixture.ledger.await_request(id);
    return status;
  };

  CHECK(ask(1, "10.0.0.1", kStart).ok());
  CHECK(ask(1, "10.0.0.1", kStart).ok());
  CHECK(absl::IsResourceExhausted(ask(1, "10.0.0.1", kStart)));
  CHECK(ask(2, "10.0.0.2", kStart).ok());
  CHECK(ask(1, "10.0.0.1", kStart + 400ms).ok());
  CHECK_FALSE(ask(1, "10.0.0.1", kStart + 400ms).ok());
  CHECK(ask(1, "10.0.0.1", kStart + 10s).ok());
  CHECK(ask(1, "10.0.0.1", kStart + 10s).ok());
  CHECK(ask(1, "10.0.0.1", kStart + 10s).ok());
  CHECK_FALSE(ask(1, "10.0.0.1", kStart + 10s).ok());
}

TEST_CASE("a client may have so many streams, over all its connections", "[ledger]") {
  Fixture fixture(limits_of(10, 10));
  for (const uint64_t id : {1, 2, 3}) fixture.serve(id, "10.0.0.1");
  fixture.serve(4, "10.0.0.2");

  CHECK(fixture.ledger.begin_stream(1).ok());
  CHECK(fixture.ledger.begin_stream(2).ok());
  CHECK(absl::IsResourceExhausted(fixture.ledger.begin_stream(3)));
  CHECK(fixture.ledger.begin_stream(4).ok());
  fixture.ledger.await_request(1);
  CHECK(fixture.ledger.begin_stream(3).ok());
  fixture.ledger.disconnect(2);
  fixture.serve(5, "10.0.0.1");
  CHECK(fixture.ledger.begin_stream(5).ok());
}

TEST_CASE("where memory is short, who holds most gives way or is refused", "[ledger]") {
  Fixture fixture(limits_of(10, 10));
  CHECK(fixture.connect(1, "10.0.0.1"));
  CHECK(fixture.connect(2, "10.0.0.1"));
  CHECK(fixture.connect(3, "10.0.0.1"));
  CHECK(fixture.connect(4, "10.0.0.2"));
  CHECK(fixture.ledger.hold(2, 2 * kMiB).ok());
  CHECK(fixture.ledger.hold(3, 2 * kMiB).ok());

  CHECK(absl::IsResourceExhausted(fixture.ledger.hold(1, kMiB)));
  CHECK(fixture.evicted.empty());
  CHECK(fixture.ledger.hold(4, kMiB).ok());
  CHECK(fixture.evicted == Ids{2});
  CHECK(fixture.ledger.hold(1, kMiB).ok());
  fixture.ledger.disconnect(3);
  CHECK(fixture.ledger.hold(4, 3 * kMiB).ok());
}

TEST_CASE("memory of requests that are being answered is all in use", "[ledger]") {
  Fixture fixture(limits_of(10, 10));
  CHECK(fixture.connect(1, "10.0.0.1"));
  CHECK(fixture.ledger.hold(1, 4 * kMiB).ok());
  CHECK(fixture.ledger.take_request(1, "10.0.0.1", kStart).ok());
  CHECK(fixture.connect(2, "10.0.0.2"));

  CHECK(absl::IsUnavailable(fixture.ledger.hold(2, 1)));
  fixture.ledger.await_request(1);
  CHECK(fixture.ledger.hold(2, 1).ok());
}

TEST_CASE("one network of IPv6 is one client", "[ledger]") {
  Fixture fixture(limits_of(10, 1));
  CHECK(fixture.connect(1, "2001:db8:0:1::1"));
  CHECK(fixture.connect(2, "2001:db8:0:1:ffff::2"));
  CHECK(fixture.connect(3, "2001:db8:0:2::1"));
  CHECK(fixture.connect(4, "::ffff:10.0.0.1"));
  CHECK(fixture.connect(5, "10.0.0.1"));

  CHECK(fixture.evicted == Ids{1, 4});
}

TEST_CASE("behind a proxy the clients count, not the proxy", "[ledger]") {
  Fixture fixture(limits_of(10, 1));
  for (const uint64_t id : {1, 2, 3, 4}) CHECK(fixture.connect(id, "10.0.0.1", true));
  for (const uint64_t id : {1, 2, 3}) {
    CHECK(fixture.ledger.take_request(id, "192.0.2.1", kStart).ok());
  }
  CHECK(fixture.ledger.take_request(4, "192.0.2.2", kStart).ok());

  CHECK(fixture.ledger.begin_stream(1).ok());
  CHECK(fixture.ledger.begin_stream(2).ok());
  CHECK_FALSE(fixture.ledger.begin_stream(3).ok());
  CHECK(fixture.ledger.begin_stream(4).ok());
}
