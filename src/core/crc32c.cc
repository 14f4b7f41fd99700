#include "core/crc32c.h"

#include <isa-l/crc.h>

namespace clusterd {

uint32_t crc32c(std::string_view bytes) { return extend_crc32c(0, bytes); }

uint32_t extend_crc32c(uint32_t crc, std::string_view bytes) {
  uint32_t value = ~crc;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, size_t{1} << 30);  // the length is an int
    // The function reads only; its parameter is not const in this version of the library.
    auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(part.data()));
    value = crc32_iscsi(data, static_cast<int>(part.size()), value);
    bytes.remove_prefix(part.size());
  }
  return ~value;
}

}  // namespace clusterd
