#include "bench/bench_http.h"

#include <catch2/catch.hpp>

namespace clusterd::bench {
namespace {

TEST_CASE("an HTTP endpoint is host:port, with https where it is asked for", "[bench]") {
  const ClientConfig client{.token = "secret", .ca_file = "ca.pem"};

  const auto plain = HttpEndpoint::parse("127.0.0.1:3000", client);
  REQUIRE(plain.ok());
  CHECK(plain->addr == "127.0.0.1:3000");
  CHECK_FALSE(plain->use_tls);
  CHECK(plain->token == "secret");
  CHECK(HttpEndpoint::parse("http://[::1]:3000", client)->addr == "[::1]:3000");
  const auto secure = HttpEndpoint::parse("https://host.example:3443", client);
  REQUIRE(secure.ok());
  CHECK(secure->use_tls);
  CHECK(secure->ca_file == "ca.pem");
}

TEST_CASE("an endpoint that is none is refused, and so is a token in the open", "[bench]") {
  for (const char* text :
       {"", "nowhere", "host:0", ":3000", "ftp://host:21", "https://", "h:1/x"}) {
    CAPTURE(text);
    CHECK(absl::IsInvalidArgument(HttpEndpoint::parse(text, {}).status()));
  }
  CHECK(HttpEndpoint::parse("host.example:3000", {}).ok());
  const ClientConfig client{.token = "secret"};
  CHECK(absl::IsInvalidArgument(HttpEndpoint::parse("host.example:3000", client).status()));
}

TEST_CASE("an answer of another status is an error with the server's words", "[bench]") {
  CHECK(check_status({.status = 201}, 201).ok());
  const absl::Status refused = check_status({.status = 403, .body = "not you"}, 201);
  CHECK(absl::IsPermissionDenied(refused));
  CHECK(std::string(refused.message()).find("not you") != std::string::npos);
  CHECK(absl::IsUnauthenticated(check_status({.status = 401}, 200)));
  CHECK(absl::IsResourceExhausted(check_status({.status = 429}, 200)));
  CHECK(absl::IsUnavailable(check_status({.status = 503}, 200)));
  CHECK(absl::IsInternal(check_status({.status = 500}, 200)));
}

}  // namespace
}  // namespace clusterd::bench
