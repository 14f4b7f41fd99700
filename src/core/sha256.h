#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace clusterd {

// SHA-256 (FIPS 180-4) of bytes that come piece by piece. One thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::string_view bytes);
  // 32 raw bytes. Once, last.
  [[nodiscard]] std::string finish();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

// Of bytes that are there at once. Any thread.
[[nodiscard]] std::string sha256(std::string_view bytes);

}  // namespace clusterd
