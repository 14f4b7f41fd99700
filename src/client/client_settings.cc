#include "client/client_settings.h"

#include <cstdlib>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/config_load.h"

namespace clusterd {
namespace {

absl::StatusOr<std::vector<std::string>> parse_list(std::string_view source,
                                                    std::string_view text) {
  std::vector<std::string> addresses;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view one = text.substr(0, comma);
    const auto address = parse_address(one);
    const std::string name = std::string(source) + ": ";
    if (!address.ok()) {
      return absl::InvalidArgumentError(name + std::string(address.status().message()));
    }
    if (address->host.empty() || address->port == 0) {
      return absl::InvalidArgumentError(name + "\"" + std::string(one) +
                                        "\" needs a host and a port from 1 to 65535");
    }
    addresses.emplace_back(one);
    if (comma == std::string_view::npos) return addresses;
    text.remove_prefix(comma + 1);
  }
}

// Empty: there is no home to look in.
std::string file_of(const Environment& environment) {
  const auto home = environment("HOME");
  return home && !home->empty() ? *home + "/.config/clusterd/client.toml" : "";
}

absl::StatusOr<ClientConfig> from_file(const Environment& environment) {
  const std::string file = file_of(environment);
  if (file.empty()) return ClientConfig();
  auto config = load_client_config(file);
  if (absl::IsNotFound(config.status())) return ClientConfig();
  return config;
}

// The first of flag and variable that is there; an empty variable is as good as none.
struct Setting {
  std::string source;
  std::string value;
};

std::optional<Setting> setting(const std::optional<std::string>& flag, const char* flag_name,
                               const char* variable, const Environment& environment) {
  if (flag) return Setting{flag_name, *flag};
  const auto value = environment(variable);
  if (!value || value->empty()) return std::nullopt;
  return Setting{variable, *value};
}

absl::Status check_token(const ClientConfig& config) {
  if (config.token.empty() || !config.ca_file.empty()) return absl::OkStatus();
  for (const std::string& text : config.addr) {
    const auto address = parse_address(text);
    if (address.ok() && is_loopback(address->host)) continue;
    return absl::InvalidArgumentError("token: it would go to " + text +
                                      " in the open; give --ca too");
  }
  return absl::OkStatus();
}

}  // namespace

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

absl::StatusOr<ClientConfig> resolve_client_config(const ClientFlags& flags,
                                                   const Environment& environment) {
  auto config = from_file(environment);
  if (!config.ok()) return config.status();
  if (const auto addr = setting(flags.addr, "--addr", "CLUSTERD_ADDR", environment)) {
    auto list = parse_list(addr->source, addr->value);
    if (!list.ok()) return list.status();
    config->addr = *std::move(list);
  }
  if (const auto token = setting(flags.token, "--token", "CLUSTERD_TOKEN", environment)) {
    config->token = token->value;
  }
  if (const auto ca = setting(flags.ca_file, "--ca", "CLUSTERD_CA", environment)) {
    config->ca_file = ca->value;
  }
  if (const auto crt = setting(flags.crt_file, "--cert", "CLUSTERD_CERT", environment)) {
    config->crt_file = crt->value;
  }
  if (const auto key = setting(flags.key_file, "--key", "CLUSTERD_KEY", environment)) {
    config->key_file = key->value;
  }
  if (const absl::Status status = check_token(*config); !status.ok()) return status;
  return config;
}

std::string address_source(const ClientFlags& flags, const Environment& environment) {
  if (const auto addr = setting(flags.addr, "--addr", "CLUSTERD_ADDR", environment)) {
    return "from " + addr->source;
  }
  const auto config = from_file(environment);
  const bool is_default = !config.ok() || config->addr == ClientConfig().addr;
  return is_default ? "the default" : "from " + file_of(environment);
}

}  // namespace clusterd
