#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace clusterd {

struct WrongConfig {
  std::string text;
  std::string error;  // the whole status message
};

// Each of them is refused by `parse` with its error.
inline void check_all(const std::vector<WrongConfig>& cases, auto parse) {
  for (const WrongConfig& wrong : cases) {
    INFO(wrong.text);
    const auto config = parse(wrong.text, "f.toml");

    REQUIRE_FALSE(config.ok());
    CHECK(config.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(config.status().message()) == wrong.error);
  }
}

}  // namespace clusterd
