#include "worker/data_dir_name.h"

#include <cstdint>

#include "absl/strings/str_format.h"

namespace clusterd {

std::string data_dir_name(const std::string& real_path) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : real_path) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return absl::StrFormat("%016x", hash);
}

}  // namespace clusterd
