#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "core/sha256.h"

namespace clusterd {

// sha256 of a message's deterministic serialisation: equal for equal messages of one program.
[[nodiscard]] std::string sha256_of(const google::protobuf::Message& message);

}  // namespace clusterd
