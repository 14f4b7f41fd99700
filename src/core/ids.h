#pragma once

#include <string>

#include "core/clock.h"

namespace clusterd {

// Random bytes from the kernel (getrandom(2)). Any thread.
[[nodiscard]] std::string random_bytes(size_t count);

// RFC 9562: random, lower-case hex.
[[nodiscard]] std::string new_uuid_v4();
// RFC 9562: begins with the Unix time in milliseconds, so that ids sort by age.
[[nodiscard]] std::string new_uuid_v7(WallTime now);

// The same of given bytes in place of random ones; the first 16 of `bytes` count.
[[nodiscard]] std::string uuid_v7_of(WallTime now, std::string bytes);

// 32 random bytes in hex: what a worker proves its identity with.
[[nodiscard]] std::string new_secret();

}  // namespace clusterd
