#pragma once

#include <string>
#include <string_view>

#include "core/log.h"

namespace clusterd {

// Where systemd's journal takes entries with fields of their own.
inline constexpr const char* kJournalSocket = "/run/systemd/journal/socket";

// One entry in the journal's native protocol (systemd, JOURNAL_NATIVE_PROTOCOL): `line` is what
// people see, each field is there as CLUSTERD_<KEY> too.
[[nodiscard]] std::string journal_entry(LogLevel level, std::string_view component,
                                        std::string_view line, LogFields fields);

// Whether the descriptor is a socket, as the journal's streams are.
[[nodiscard]] bool is_socket(int descriptor);

// Sends entries to the journal. Any thread.
class JournalSocket {
 public:
  explicit JournalSocket(std::string path = kJournalSocket);
  ~JournalSocket();
  JournalSocket(const JournalSocket&) = delete;
  JournalSocket& operator=(const JournalSocket&) = delete;

  // False: it was not taken, for nobody listens or it is too large. Does not wait.
  [[nodiscard]] bool send(const std::string& entry) const;

 private:
  const std::string path_;
  const int descriptor_;
};

}  // namespace clusterd
