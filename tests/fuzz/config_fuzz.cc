#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/config_load.h"

// A configuration file of any bytes is read, or refused with an error that says something.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto scheduler = clusterd::parse_scheduler_config(text, "fuzz.toml");
  const auto worker = clusterd::parse_worker_config(text, "fuzz.toml");
  if (!scheduler.ok() && scheduler.status().message().empty()) std::abort();
  if (!worker.ok() && worker.status().message().empty()) std::abort();
  return 0;
}
