#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/config_keys.h"

namespace clusterd {

// Both from 1 on; columns count characters. 0: the file says nothing of it.
struct ConfigPosition {
  uint32_t line = 0;
  uint32_t column = 0;
};

struct ConfigError {
  ConfigPosition position;
  std::string key;   // "grpc_server.addr"; empty where the file is no TOML
  std::string what;  // what is wrong and what is allowed
};

// What reading a file brought, beside the values.
struct ConfigReport {
  std::vector<ConfigError> errors;
  std::map<std::string, ConfigPosition> values;  // where each key's value stands

  void add_error(const std::string& key, std::string what);  // at the value of `key`
  // INVALID_ARGUMENT with one line for each error, "file:line:column: key: what", in the order of
  // the file; OK where there is none.
  [[nodiscard]] absl::Status status(std::string_view file) const;
};

// Reads TOML into the members that `keys` point to. Members whose keys are absent or wrong keep
// their values. Every error is reported; a syntax error is the only one, since nothing after it
// can be read.
[[nodiscard]] ConfigReport read_config(std::string_view text, const std::vector<ConfigKey>& keys);

}  // namespace clusterd
