#include "core/ip_network.h"

#include <catch2/catch.hpp>

using clusterd::IpNetwork;

namespace {

bool has(const std::string& network, const std::string& address) {
  const auto parsed = IpNetwork::parse(network);
  REQUIRE(parsed.ok());
  return parsed->contains(address);
}

}  // namespace

TEST_CASE("a network has the addresses with its first bits", "[ip_network]") {
  CHECK(has("192.0.2.7", "192.0.2.7"));
  CHECK_FALSE(has("192.0.2.7", "192.0.2.8"));
  CHECK(has("10.0.0.0/8", "10.255.255.255"));
  CHECK_FALSE(has("10.0.0.0/8", "11.0.0.0"));
  CHECK(has("192.0.2.128/25", "192.0.2.200"));
  CHECK_FALSE(has("192.0.2.128/25", "192.0.2.127"));
  CHECK(has("0.0.0.0/0", "203.0.113.5"));
  CHECK_FALSE(has("0.0.0.0/0", "2001:db8::1"));
  CHECK(has("2001:db8::/32", "2001:db8:1::1"));
  CHECK_FALSE(has("2001:db8::/32", "2001:db9::1"));
  CHECK(has("::/0", "203.0.113.5"));
}

TEST_CASE("an IPv4 address within IPv6 is the same", "[ip_network]") {
  CHECK(has("10.0.0.0/8", "::ffff:10.1.2.3"));
  CHECK(has("::ffff:10.0.0.1", "10.0.0.1"));
}

TEST_CASE("what is no address is in no network", "[ip_network]") {
  for (const char* text : {"", "localhost", "10.0.0", "10.0.0.1/8", "10.0.0.1 "}) {
    CHECK_FALSE(has("0.0.0.0/0", text));
    CHECK_FALSE(has("::/0", text));
  }
}

TEST_CASE("a network of another form is refused, saying why", "[ip_network]") {
  for (const char* text : {"", "proxy", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/x", "::/129",
                           "10.0.0.0/8/8", "10.0.0.0/-1"}) {
    CAPTURE(text);
    CHECK(absl::IsInvalidArgument(IpNetwork::parse(text).status()));
  }
  CHECK_THAT(std::string(IpNetwork::parse("10.0.0.1/8").status().message()),
             Catch::Contains("\"10.0.0.1/8\" has bits beyond its prefix"));
}
