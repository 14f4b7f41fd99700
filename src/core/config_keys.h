#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/config.h"

namespace clusterd {

// What the text of a value must be, beyond its type.
enum class ConfigForm {
  kPlain,          // any text; any number within the range
  kNotEmpty,       // text, at least one character
  kName,           // empty, or letters, digits, '.', '_' and '-', at most 128
  kWord,           // one of `words`
  kListenAddress,  // host:port; an empty host is every interface, port 0 any free one
  kCallAddress,    // host:port with a host and a port from 1 on; a list takes a single text too
  kMaybeAddress,   // empty, or like kListenAddress
  kProgram,        // a name without '/', or an absolute path
  kNetwork,        // an IP address, or a network such as 10.0.0.0/8
  kVariable,       // name of an environment variable
  kTaint,          // "key" or "key=value", each as kName and not empty
  kSize,           // bytes, or a text such as "64MiB"
};

// One key of a configuration file: where it stands, where its value goes, what is allowed. The
// reader fills members through it; a manual can be written from it. Points into a config struct,
// which must outlive it and holds the default until the file says otherwise.
struct ConfigKey {
  using Target = std::variant<bool*, std::string*, std::vector<std::string>*,
                              std::map<std::string, std::string>*, std::map<std::string, uint32_t>*,
                              int32_t*, uint32_t*, uint64_t*, double*, std::chrono::nanoseconds*>;

  std::string_view table;  // "grpc_server"; empty: before the first table
  std::string_view name;   // "addr"
  Target target;
  std::string_view comment;
  ConfigForm form = ConfigForm::kPlain;
  std::vector<std::string_view> words;  // of kWord
  // Bounds, both allowed: of integers and numbers, bytes, or nanoseconds.
  int64_t min = 0;
  int64_t max = std::numeric_limits<int64_t>::max();

  [[nodiscard]] std::string path() const;  // "grpc_server.addr"
};

// Every key of each file, table by table.
[[nodiscard]] std::vector<ConfigKey> config_keys(SchedulerConfig& config);
[[nodiscard]] std::vector<ConfigKey> config_keys(WorkerConfig& config);
[[nodiscard]] std::vector<ConfigKey> config_keys(ClientConfig& config);

}  // namespace clusterd
