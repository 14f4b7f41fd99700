#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "google/protobuf/message_lite.h"

namespace clusterd {

// A record as the SQLite store keeps it: the bytes of a message, then the CRC32C of them as its
// field 536870911 (fixed32), which no message of ours has. SQLite's pages have no checksum, and a
// flipped bit may leave a message that parses. Any thread.
[[nodiscard]] std::string seal(const google::protobuf::MessageLite& message);

// The message's bytes, a part of `record`; nullopt: they are not those that were sealed. Formats
// before 4 had no seal: such a record is taken as it is.
[[nodiscard]] std::optional<std::string_view> unseal(std::string_view record);

// False: damaged, and `message` is of no use.
[[nodiscard]] bool parse_sealed(std::string_view record, google::protobuf::MessageLite& message);

}  // namespace clusterd
