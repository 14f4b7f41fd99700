#include "core/ids.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdint>

#include "absl/strings/escaping.h"

namespace clusterd {
namespace {

constexpr size_t kUuidBytes = 16;
constexpr size_t kSecretBytes = 32;

std::string format_uuid(std::string bytes, uint8_t version) {
  bytes[6] = static_cast<char>((static_cast<uint8_t>(bytes[6]) & 0x0F) | (version << 4));
  bytes[8] = static_cast<char>((static_cast<uint8_t>(bytes[8]) & 0x3F) | 0x80);
  std::string text = absl::BytesToHexString(bytes);
  for (const size_t dash : {8U, 13U, 18U, 23U}) text.insert(dash, "-");
  return text;
}

}  // namespace

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  size_t have = 0;
  while (have < count) {
    const ssize_t got = getrandom(bytes.data() + have, count - have, 0);
    if (got > 0) have += static_cast<size_t>(got);  // else EINTR: nothing else can happen here
  }
  return bytes;
}

std::string new_uuid_v4() { return format_uuid(random_bytes(kUuidBytes), 4); }

std::string new_uuid_v7(WallTime now) { return uuid_v7_of(now, random_bytes(kUuidBytes)); }

std::string uuid_v7_of(WallTime now, std::string bytes) {
  const auto milliseconds = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
  bytes.resize(kUuidBytes);
  for (size_t i = 0; i < 6; ++i) bytes[i] = static_cast<char>(milliseconds >> (8 * (5 - i)));
  return format_uuid(std::move(bytes), 7);
}

std::string new_secret() { return absl::BytesToHexString(random_bytes(kSecretBytes)); }

}  // namespace clusterd
