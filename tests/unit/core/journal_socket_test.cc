#include "core/journal_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <string>

#include "support/scratch_folder.h"

namespace clusterd {
namespace {

// What journald is to those who log.
class Journal {
 public:
  explicit Journal(const std::string& path)
      : descriptor_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    REQUIRE(::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  }
  ~Journal() { ::close(descriptor_); }
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  [[nodiscard]] std::string received() const {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::recv(descriptor_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    return size < 0 ? std::string() : std::string(buffer.data(), static_cast<size_t>(size));
  }

 private:
  const int descriptor_;
};

TEST_CASE("an entry has the line, its severity and each field by itself", "[log]") {
  CHECK(
      journal_entry(LogLevel::kWarning, "worker", "worker: job ended",
                    {{"job_id", "j1"}, {"attempt", 2}, {"trace_id", LogValue::unless_empty("")}}) ==
      "MESSAGE=worker: job ended\nPRIORITY=4\nSYSLOG_IDENTIFIER=clusterd\n"
      "CLUSTERD_COMPONENT=worker\nCLUSTERD_JOB_ID=j1\nCLUSTERD_ATTEMPT=2\n");
}

TEST_CASE("a value with line breaks forges no field", "[log]") {
  const std::string entry =
      journal_entry(LogLevel::kInfo, "x", "y", {{"reason", "one\nPRIORITY=0"}});
  const std::string length("\x0e\0\0\0\0\0\0\0", 8);
  CHECK(entry.ends_with("\nCLUSTERD_REASON\n" + length + "one\nPRIORITY=0\n"));
}

TEST_CASE("an entry reaches the journal, and is told where nobody takes it", "[log]") {
  const testing::ScratchFolder folder;
  const std::string path = folder / "socket";
  const JournalSocket socket(path);
  CHECK_FALSE(socket.send("MESSAGE=lost\n"));
  const Journal journal(path);
  CHECK(socket.send("MESSAGE=kept\n"));
  CHECK(journal.received() == "MESSAGE=kept\n");
  CHECK_FALSE(JournalSocket(std::string(200, 'x')).send("MESSAGE=no such path\n"));
}

TEST_CASE("a socket is told from a pipe", "[log]") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  CHECK_FALSE(is_socket(ends[0]));
  CHECK_FALSE(is_socket(-1));
  ::close(ends[0]);
  ::close(ends[1]);
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  CHECK(is_socket(ends[0]));
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace clusterd
