#include "rpc/caller_rules.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "support/scratch_folder.h"

using namespace clusterd;
using clusterd::testing::ScratchFolder;
using namespace std::chrono_literals;

namespace {

const WallTime kNow = WallTime() + 1'800'000'000s;
const Identity kCertificate{.role = Role::kReader, .name = "cert", .credential = "certificate:x"};

IpNetwork network(const std::string& text) {
  auto parsed = IpNetwork::parse(text);
  REQUIRE(parsed.ok());
  return *parsed;
}

// A store with the token "right" of client/operator/alice.
struct Tokens {
  Tokens() {
    const std::string path = folder / "tokens";
    std::ofstream(path) << format_tokens({{.name = "alice",
                                           .role = Role::kOperator,
                                           .sha256 = token_hash("right"),
                                           .created = kNow}});
    REQUIRE(chmod(path.c_str(), 0600) == 0);
    auto opened = TokenStore::open(path);
    REQUIRE(opened.ok());
    store = *std::move(opened);
  }
  ScratchFolder folder;
  std::unique_ptr<TokenStore> store;
};

// Who that is, or why nobody.
std::string who(const CallerRules& rules, const ShownCredentials& shown) {
  const auto identity = rules.identify(shown, kNow);
  if (!identity.ok()) {
    CHECK(absl::IsUnauthenticated(identity.status()));
    return "refused: " + std::string(identity.status().message());
  }
  return identity->text();
}

}  // namespace

TEST_CASE("where nothing is configured, everybody is anonymous", "[callers]") {
  const CallerRules rules({});

  CHECK(who(rules, {}) == "anonymous");
  CHECK(who(rules, {.forwarded_client = "client/reader/eve"}) == "anonymous");
  CHECK_THAT(who(rules, {.authorization = "Bearer right"}),
             Catch::Contains("refused: there are no bearer tokens"));
}

TEST_CASE("with tokens, nobody is anonymous and a token says who calls", "[callers]") {
  const Tokens tokens;
  const CallerRules rules({.tokens = tokens.store.get()});

  CHECK(who(rules, {.authorization = "Bearer right"}) == "client/operator/alice");
  CHECK(who(rules, {.authorization = "bearer  right "}) == "client/operator/alice");
  CHECK(who(rules, {}) == "refused: a bearer token is needed");
  CHECK_THAT(who(rules, {.authorization = "Bearer wrong"}), Catch::Contains("is not known"));
  for (const char* text : {"right", "Basic right", "Bearer", "Bearer ", "Bearerright"}) {
    CAPTURE(text);
    CHECK_THAT(who(rules, {.authorization = text}), Catch::StartsWith("refused: "));
  }
}

TEST_CASE("a certificate is an alternative, and a wrong token is not made good by one",
          "[callers]") {
  const Tokens tokens;
  const CallerRules rules({.tokens = tokens.store.get(), .asks_certificates = true});
  const CallerRules without_tokens({.asks_certificates = true});

  CHECK(who(rules, {.certificate = kCertificate}) == "client/reader/cert");
  CHECK(who(rules, {.certificate = kCertificate, .authorization = "Bearer right"}) ==
        "client/operator/alice");
  CHECK_THAT(who(rules, {.certificate = kCertificate, .authorization = "Bearer wrong"}),
             Catch::StartsWith("refused"));
  CHECK(who(rules, {}) == "refused: a bearer token or a client certificate is needed");
  CHECK(who(without_tokens, {}) == "refused: a client certificate is needed");
}

TEST_CASE("a proxy is believed, others that say the same are not", "[callers]") {
  const Tokens tokens;
  const CallerRules rules(
      {.tokens = tokens.store.get(), .trusted_proxies = {network("10.0.0.0/8")}});

  const auto said = [&rules](const std::string& peer, std::string_view client) {
    return who(rules, {.peer = peer, .certificate = kCertificate, .forwarded_client = client});
  };
  CHECK(said("10.1.2.3", "client/operator/bob") == "client/operator/bob");
  CHECK(said("::ffff:10.1.2.3", "client/operator/bob") == "client/operator/bob");
  CHECK(said("11.1.2.3", "client/operator/bob") == "client/reader/cert");
  CHECK_THAT(said("10.1.2.3", ""), Catch::StartsWith("refused: the proxy names nobody"));
  CHECK_THAT(said("10.1.2.3", "worker/w1"), Catch::StartsWith("refused: the proxy's"));
  CHECK_THAT(said("10.1.2.3", "scheduler/s1"), Catch::StartsWith("refused: the proxy's"));
  CHECK_THAT(said("10.1.2.3", "bob"), Catch::StartsWith("refused: the proxy's"));
  CHECK(who(rules, {.peer = "10.1.2.3", .authorization = "Bearer right"}) ==
        "client/operator/alice");
}

TEST_CASE("other users of the machine need a token, our own processes do not", "[callers]") {
  const Tokens tokens;
  const CallerRules rules({.tokens = tokens.store.get(), .same_user_only = true});
  const CallerRules without_tokens({.same_user_only = true});

  CHECK(who(rules, {.is_same_user = [] { return true; }}) == "anonymous");
  CHECK(who(without_tokens, {.is_same_user = [] { return true; }}) == "anonymous");
  CHECK_THAT(who(rules, {.is_same_user = [] { return false; }}),
             Catch::StartsWith("refused: the caller is not a process of the user"));
  CHECK_THAT(who(rules, {}), Catch::StartsWith("refused"));
  CHECK(who(rules, {.authorization = "Bearer right", .is_same_user = [] { return false; }}) ==
        "client/operator/alice");
}

TEST_CASE("the client's address is the last that no proxy has", "[callers]") {
  const CallerRules rules({.trusted_proxies = {network("10.0.0.0/8"), network("::1")}});

  CHECK(rules.client_address("192.0.2.1", "") == "192.0.2.1");
  CHECK(rules.client_address("192.0.2.1", "198.51.100.1") == "192.0.2.1");
  CHECK(rules.client_address("10.0.0.1", "198.51.100.1") == "198.51.100.1");
  CHECK(rules.client_address("10.0.0.1", "6.6.6.6, 198.51.100.1 , 10.0.0.2") == "198.51.100.1");
  CHECK(rules.client_address("::1", "2001:db8::1") == "2001:db8::1");
  CHECK(rules.client_address("10.0.0.1", "") == "10.0.0.1");
  CHECK(rules.client_address("10.0.0.1", "198.51.100.1, unknown") == "10.0.0.1");
}
