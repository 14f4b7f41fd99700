#pragma once

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"

namespace clusterd {

// All messages of this type, in their order, from tests/recorded/`file`.
template <typename Message>
std::vector<Message> recorded(const std::string& file) {
  std::ifstream lines(CLUSTERD_SOURCE_DIR "/tests/recorded/" + file);
  std::vector<Message> found;
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string direction;
    std::string type;
    std::string bytes;
    words >> direction >> type >> bytes;
    if (type != Message::descriptor()->name()) continue;
    if (!found.emplace_back().ParseFromString(absl::HexStringToBytes(bytes))) {
      throw std::runtime_error("does not parse: " + line);
    }
  }
  if (found.empty()) throw std::runtime_error("no " + Message::descriptor()->name());
  return found;
}

}  // namespace clusterd
