#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

namespace clusterd {

// SHA-256 (FIPS 180-4), 32 raw bytes. Any thread.
[[nodiscard]] std::string sha256(std::string_view bytes);

// sha256 of a message's deterministic serialisation: equal for equal messages of one program.
[[nodiscard]] std::string sha256_of(const google::protobuf::Message& message);

}  // namespace clusterd
