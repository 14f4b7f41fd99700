#include "core/address.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

TEST_CASE("addresses are read and written back the same", "[address]") {
  CHECK(*parse_address("127.0.0.1:3000") == Address{"127.0.0.1", 3000});
  CHECK(*parse_address("node-1.example.org:0") == Address{"node-1.example.org", 0});
  CHECK(*parse_address("[::1]:65535") == Address{"::1", 65535});
  CHECK(*parse_address(":50000") == Address{"", 50000});
  for (const char* text : {"127.0.0.1:3000", "a:0", "[::1]:65535", ":50000"}) {
    CHECK(format_address(*parse_address(text)) == text);
  }
}

TEST_CASE("what is no address is refused with its text", "[address]") {
  for (const char* text : {"", "localhost", "localhost:", "localhost:x", "a:65536", "a:-1", "::1",
                           "::1:80", "[::1]", "[::1", "[x]:1", "a b:1", "a/b:1", "a:1 "}) {
    INFO(text);
    const auto address = parse_address(text);
    CHECK(address.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(address.status().message()).find("\"" + std::string(text) + "\"") == 0);
  }
}

TEST_CASE("loopback is told from everything else", "[address]") {
  for (const char* host : {"localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"}) {
    INFO(host);
    CHECK(is_loopback(host));
  }
  for (const char* host : {"", "0.0.0.0", "10.0.0.1", "::", "fe80::1", "::ffff:10.0.0.1",
                           "localhost.example.org", "128.0.0.1"}) {
    INFO(host);
    CHECK_FALSE(is_loopback(host));
  }
}

TEST_CASE("IP literals are told from names", "[address]") {
  CHECK(is_ip_literal("10.0.0.1"));
  CHECK(is_ip_literal("::1"));
  CHECK_FALSE(is_ip_literal("localhost"));
  CHECK_FALSE(is_ip_literal("[::1]"));
  CHECK_FALSE(is_ip_literal(""));
}

}  // namespace
}  // namespace clusterd
