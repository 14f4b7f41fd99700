#include "gateway/browser_rules.h"

#include <catch2/catch.hpp>
#include <tuple>

using namespace clusterd::gateway;

namespace {

HttpRequest request_to(const std::string& authority, const std::string& verb = "GET") {
  HttpRequest request;
  request.verb = verb;
  request.authority = authority;
  return request;
}

}  // namespace

TEST_CASE("IP literals, localhost and listed hosts are served", "[browser]") {
  for (const char* host :
       {"127.0.0.1:3000", "[::1]:3000", "10.1.2.3", "LocalHost:1", "a.example", "A.Example:3000"}) {
    CAPTURE(host);
    CHECK(check_browser_rules(request_to(host), {"a.example"}).ok());
  }
}

TEST_CASE("any other host is refused", "[browser]") {
  for (const char* host :
       {"evil.example", "", "localhost.evil.example", "127.0.0.1.evil.example:3000", "[x]:1"}) {
    CAPTURE(host);
    CHECK(absl::IsPermissionDenied(check_browser_rules(request_to(host), {"a.example"})));
  }
}

TEST_CASE("a change from another origin is refused", "[browser]") {
  const std::pair<const char*, bool> origins[] = {
      {"http://127.0.0.1:3000", true},
      {"https://127.0.0.1:3000", true},
      {"http://127.0.0.1:3001", false},
      {"http://localhost:3000", false},
      {"null", false},
      {"http://evil.example", false},
      {"", false},
  };
  for (const auto& [origin, allowed] : origins) {
    CAPTURE(origin);
    HttpRequest request = request_to("127.0.0.1:3000", "POST");
    request.headers.emplace_back("origin", origin);
    CHECK(check_browser_rules(request, {}).ok() == allowed);
    request.verb = "GET";
    CHECK(check_browser_rules(request, {}).ok());
  }
}

TEST_CASE("a default port is left out of origins", "[browser]") {
  HttpRequest request = request_to("127.0.0.1:80", "DELETE");
  request.headers.emplace_back("origin", "http://127.0.0.1");

  CHECK(check_browser_rules(request, {}).ok());
}

TEST_CASE("a change that another site's page sent is refused", "[browser]") {
  for (const auto& [site, allowed] : std::initializer_list<std::pair<const char*, bool>>{
           {"same-origin", true}, {"same-site", false}, {"cross-site", false}, {"none", false}}) {
    CAPTURE(site);
    HttpRequest request = request_to("localhost", "POST");
    request.headers.emplace_back("sec-fetch-site", site);
    CHECK(check_browser_rules(request, {}).ok() == allowed);
  }
}

TEST_CASE("what another site's page asks is refused, a link from there is not", "[browser]") {
  const std::tuple<const char*, const char*, bool> cases[] = {
      {"same-origin", "cors", true},    {"none", "navigate", true},
      {"cross-site", "navigate", true}, {"cross-site", "no-cors", false},
      {"same-site", "cors", false},     {"cross-site", "", false},
  };
  for (const auto& [site, mode, allowed] : cases) {
    CAPTURE(site, mode);
    HttpRequest request = request_to("localhost", "GET");
    request.headers.emplace_back("sec-fetch-site", site);
    request.headers.emplace_back("sec-fetch-mode", mode);
    CHECK(check_browser_rules(request, {}).ok() == allowed);
  }
}
