#pragma once

#include <google/protobuf/message.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace clusterd::fuzz {

// The input of one run as choices: what the fuzzer changes is what is chosen. At its end every
// choice is the first one. A value; one thread.
class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : left_(reinterpret_cast<const char*>(data), size) {}

  [[nodiscard]] bool empty() const { return left_.empty(); }
  uint8_t byte();
  // Below `count`, which is at least 1.
  size_t below(size_t count) { return byte() % count; }
  bool flag() { return (byte() & 1) != 0; }
  // Small and large ones, of all signs.
  int64_t number();
  // Of some few texts, so that one names what another one has named, or any text.
  std::string text();
  // What is left.
  std::string_view rest() {
    const std::string_view rest = left_;
    left_ = {};
    return rest;
  }

 private:
  std::string_view left_;
};

// Fills `message` with anything that is well-formed.
void fill(google::protobuf::Message& message, Bytes& bytes, int depth = 0);

}  // namespace clusterd::fuzz
