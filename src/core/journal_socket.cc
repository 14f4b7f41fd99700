#include "core/journal_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "core/log_format.h"

namespace clusterd {
namespace {

// A value with a line break is preceded by its length, little-endian, instead of "=".
void append_field(std::string& entry, std::string_view key, std::string_view value) {
  entry += key;
  if (value.find('\n') == std::string_view::npos) {
    entry += '=';
  } else {
    entry += '\n';
    for (unsigned shift = 0; shift < 64; shift += 8) {
      entry += static_cast<char>(static_cast<uint64_t>(value.size()) >> shift & 0xFFU);
    }
  }
  entry += value;
  entry += '\n';
}

}  // namespace

std::string journal_entry(LogLevel level, std::string_view component, std::string_view line,
                          LogFields fields) {
  std::string entry;
  append_field(entry, "MESSAGE", line);
  append_field(entry, "PRIORITY", std::to_string(syslog_priority(level)));
  append_field(entry, "SYSLOG_IDENTIFIER", "clusterd");
  append_field(entry, "CLUSTERD_COMPONENT", component);
  for (const auto& [key, value] : fields) {
    if (value.is_absent()) continue;
    append_field(entry, "CLUSTERD_" + absl::AsciiStrToUpper(std::string(key)), value.text());
  }
  return entry;
}

bool is_socket(int descriptor) {
  struct stat found {};
  return ::fstat(descriptor, &found) == 0 && S_ISSOCK(found.st_mode);
}

JournalSocket::JournalSocket(std::string path)
    : path_(std::move(path)), descriptor_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}

JournalSocket::~JournalSocket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool JournalSocket::send(const std::string& entry) const {
  sockaddr_un address{};
  if (descriptor_ < 0 || path_.size() >= sizeof(address.sun_path)) return false;
  address.sun_family = AF_UNIX;
  std::copy(path_.begin(), path_.end(), address.sun_path);
  const ssize_t sent =
      ::sendto(descriptor_, entry.data(), entry.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), sizeof(address));  // NOLINT
  return sent == static_cast<ssize_t>(entry.size());
}

}  // namespace clusterd
