#include "client/client_settings.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>

namespace clusterd {
namespace {

Environment with(const std::map<std::string, std::string>& variables) {
  return [variables](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

// A home folder with a client.toml.
struct Home {
  explicit Home(const std::string& content) {
    path = (std::filesystem::temp_directory_path() / "home-XXXXXX").string();
    REQUIRE(mkdtemp(path.data()) != nullptr);
    std::filesystem::create_directories(path + "/.config/clusterd");
    std::ofstream(path + "/.config/clusterd/client.toml") << content;
  }
  ~Home() { std::filesystem::remove_all(path); }
  std::string path;
};

using Addresses = std::vector<std::string>;

TEST_CASE("the scheduler is on loopback where nothing says otherwise", "[client]") {
  const auto config = resolve_client_config({}, with({}));

  REQUIRE(config.ok());
  CHECK(config->addr == Addresses{"127.0.0.1:50000"});
}

TEST_CASE("flags go before variables, variables before the file", "[client]") {
  const Home home("addr = \"file:1\"\nca_file = \"fa\"\ncrt_file = \"fc\"\nkey_file = \"fk\"\n");

  const auto file = resolve_client_config({}, with({{"HOME", home.path}}));
  const auto variable = resolve_client_config(
      {}, with({{"HOME", home.path}, {"CLUSTERD_ADDR", "v:1,v:2"}, {"CLUSTERD_CA", "va"}}));
  const auto flag = resolve_client_config(
      {.addr = "flag:1", .key_file = "k"},
      with({{"HOME", home.path}, {"CLUSTERD_ADDR", "v:1"}, {"CLUSTERD_KEY", "vk"}}));

  REQUIRE(file.ok());
  CHECK(file->addr == Addresses{"file:1"});
  CHECK(file->crt_file == "fc");
  REQUIRE(variable.ok());
  CHECK(variable->addr == Addresses{"v:1", "v:2"});
  CHECK(variable->ca_file == "va");
  CHECK(variable->key_file == "fk");
  REQUIRE(flag.ok());
  CHECK(flag->addr == Addresses{"flag:1"});
  CHECK(flag->key_file == "k");
}

TEST_CASE("it is told where the address comes from", "[client]") {
  const Home home("addr = \"file:1\"\n");
  const Home other("token = \"t\"\n");

  CHECK(address_source({}, with({})) == "the default");
  CHECK(address_source({}, with({{"HOME", other.path}})) == "the default");
  CHECK(address_source({}, with({{"HOME", home.path}})) ==
        "from " + home.path + "/.config/clusterd/client.toml");
  CHECK(address_source({}, with({{"HOME", home.path}, {"CLUSTERD_ADDR", "v:1"}})) ==
        "from CLUSTERD_ADDR");
  CHECK(address_source({.addr = "flag:1"}, with({{"CLUSTERD_ADDR", "v:1"}})) == "from --addr");
}

TEST_CASE("a bad setting is refused naming where it comes from", "[client]") {
  const Home home("adr = \"x:1\"\n");
  const auto flag = resolve_client_config({.addr = "nowhere"}, with({}));
  const auto variable = resolve_client_config({}, with({{"CLUSTERD_ADDR", "a:1,:2"}}));
  const auto file = resolve_client_config({}, with({{"HOME", home.path}}));

  CHECK(std::string(flag.status().message()).starts_with("--addr: \"nowhere\""));
  CHECK(std::string(variable.status().message()).starts_with("CLUSTERD_ADDR: \":2\""));
  CHECK(std::string(file.status().message()).find("client.toml:1:1: adr: unknown key") !=
        std::string::npos);
}

TEST_CASE("a token goes over an open network only with TLS", "[client]") {
  const auto open = resolve_client_config({.addr = "10.0.0.1:1", .token = "t"}, with({}));
  const auto loopback = resolve_client_config({.token = "t"}, with({}));
  const auto tls = resolve_client_config(
      {.addr = "10.0.0.1:1", .token = "t", .ca_file = "a", .crt_file = "b", .key_file = "c"},
      with({}));

  CHECK(open.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(loopback.ok());
  CHECK(tls.ok());
}

}  // namespace
}  // namespace clusterd
