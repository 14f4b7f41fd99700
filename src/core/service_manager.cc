#include "core/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

namespace clusterd {
namespace {

constexpr int kWordsInInterval = 3;

// The number in a variable of the environment; nullopt: it is not there, or is none.
std::optional<uint64_t> number_in(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  uint64_t number = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

}  // namespace

void tell_service_manager(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t length = path == nullptr ? 0 : std::strlen(path);
  if (length < 2 || length >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';  // the abstract namespace
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return;
  (void)::sendto(socket, state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&address),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
  (void)::close(socket);
}

std::optional<std::chrono::nanoseconds> watchdog_interval() {
  const auto pid =
      number_in("WATCHDOG_PID");  // of whom it is asked; a child inherits the variables
  if (pid && *pid != static_cast<uint64_t>(::getpid())) return std::nullopt;
  const auto microseconds = number_in("WATCHDOG_USEC");
  if (!microseconds || *microseconds == 0) return std::nullopt;
  return std::chrono::microseconds(*microseconds);
}

ServiceWatchdog::ServiceWatchdog(const Clock& clock,
                                 absl::AnyInvocable<void(absl::AnyInvocable<void()>)> post)
    : clock_(clock), post_(std::move(post)), interval_(watchdog_interval()) {
  if (!interval_) return;
  loop_.emplace("watchdog", clock, [this] { return on_turn(); });
  loop_->post([] {});  // the first turn
}

std::optional<BootTime> ServiceWatchdog::on_turn() {
  const BootTime now = clock_.now().boot;
  if (now < next_) return next_;
  next_ = now + *interval_ / kWordsInInterval;
  std::string words = "WATCHDOG=1";
  if (is_stopping_) {
    const auto time = std::chrono::duration_cast<std::chrono::microseconds>(*interval_);
    words += "\nEXTEND_TIMEOUT_USEC=" + std::to_string(time.count());
  }
  post_([words] { tell_service_manager(words); });
  return next_;
}

}  // namespace clusterd
