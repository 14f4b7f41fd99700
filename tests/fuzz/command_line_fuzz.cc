#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command_line.h"

// Words of any bytes, each ended by a NUL, are a command or an error that says something.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::string> words;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty() && words.size() < 40) {
    const size_t end = std::min(rest.find('\0'), rest.size());
    words.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(rest.size(), end + 1));
  }
  const auto command = clusterd::parse_command_line(words);
  if (!command.ok() && command.status().message().empty()) std::abort();
  return 0;
}
