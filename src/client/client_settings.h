#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/config.h"

namespace clusterd {

// What the command line says about the scheduler; what is not set comes from elsewhere.
struct ClientFlags {
  std::optional<std::string> addr;  // "host:port[,host:port…]"
  std::optional<std::string> token;
  std::optional<std::string> ca_file;
  std::optional<std::string> crt_file;
  std::optional<std::string> key_file;
};

using Environment = std::function<std::optional<std::string>(const char* name)>;

// The process's own environment.
[[nodiscard]] Environment process_environment();

// Flags before CLUSTERD_ADDR, _TOKEN, _CA, _CERT and _KEY before ~/.config/clusterd/client.toml
// before 127.0.0.1:50000. A missing file is no error. INVALID_ARGUMENT names the flag, variable
// or key, a token that would go over an open network without TLS too.
[[nodiscard]] absl::StatusOr<ClientConfig> resolve_client_config(const ClientFlags& flags,
                                                                 const Environment& environment);

// Where it takes the address from, for people: "from --addr", "from CLUSTERD_ADDR", "from
// /home/ann/.config/clusterd/client.toml" or "the default".
[[nodiscard]] std::string address_source(const ClientFlags& flags, const Environment& environment);

}  // namespace clusterd
