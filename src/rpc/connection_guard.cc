#include "rpc/connection_guard.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/client_name.h"
#include "core/log.h"

namespace clusterd {
namespace {

constexpr std::chrono::nanoseconds kLookEvery = std::chrono::seconds(1);
constexpr std::chrono::nanoseconds kLookOften = std::chrono::milliseconds(100);  // of many
constexpr int kPauseForLook = 20;  // times as long as the look took, at least
constexpr auto kReportEvery = std::chrono::seconds(5);

// A descriptor of our own for a socket of somebody else in this process: what it leads to stays the
// same whatever they do with theirs.
class BorrowedSocket {
 public:
  explicit BorrowedSocket(int descriptor) : own_(fcntl(descriptor, F_DUPFD_CLOEXEC, 0)) {}
  BorrowedSocket(BorrowedSocket&& other) noexcept : own_(std::exchange(other.own_, -1)) {}
  BorrowedSocket& operator=(BorrowedSocket&&) = delete;
  BorrowedSocket(const BorrowedSocket&) = delete;
  BorrowedSocket& operator=(const BorrowedSocket&) = delete;
  ~BorrowedSocket() {
    if (own_ >= 0) close(own_);
  }
  [[nodiscard]] int get() const { return own_; }

 private:
  int own_;
};

struct End {
  std::string host;
  uint16_t port = 0;
};

std::optional<End> end_of(const sockaddr_storage& storage) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(storage);
    inet_ntop(AF_INET, &ipv4.sin_addr, text.data(), text.size());
    return End{text.data(), ntohs(ipv4.sin_port)};
  }
  if (storage.ss_family != AF_INET6) return std::nullopt;
  const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(storage);
  inet_ntop(AF_INET6, &ipv6.sin6_addr, text.data(), text.size());
  return End{text.data(), ntohs(ipv6.sin6_port)};
}

std::optional<End> ask(int socket, decltype(getpeername)* which) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (which(socket, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return std::nullopt;
  return end_of(storage);
}

// Whose it is; none for what is no connection to one of the ports.
std::optional<std::string> client_at(int socket, const std::vector<uint16_t>& ports) {
  const auto local = ask(socket, &getsockname);
  if (!local || std::find(ports.begin(), ports.end(), local->port) == ports.end()) {
    return std::nullopt;
  }
  const auto peer = ask(socket, &getpeername);
  if (!peer) return std::nullopt;  // a listener
  return client_name(peer->host);
}

// The same with what is known of it; none for one on its way out.
std::optional<SeenConnection> seen_at(int socket, const std::vector<uint16_t>& ports) {
  auto client = client_at(socket, ports);
  if (!client) return std::nullopt;
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  if (info.tcpi_state != TCP_ESTABLISHED) return std::nullopt;
  return SeenConnection{*std::move(client), info.tcpi_last_data_recv};
}

std::vector<int> open_descriptors() {
  std::vector<int> descriptors;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/self/fd"), &closedir);
  if (folder == nullptr) return descriptors;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    int descriptor = -1;
    std::from_chars(name.data(), name.data() + name.size(), descriptor);
    if (descriptor > 2) descriptors.push_back(descriptor);
  }
  return descriptors;
}

}  // namespace

std::vector<size_t> connections_to_cut(const std::vector<SeenConnection>& seen,
                                       const SchedulerConfig::GrpcServer& limits) {
  std::map<std::string, std::vector<size_t>> clients;  // the quietest last
  for (size_t i = 0; i < seen.size(); ++i) clients[seen[i].client].push_back(i);
  std::vector<size_t> cut;
  for (auto& [client, of_it] : clients) {
    std::stable_sort(of_it.begin(), of_it.end(),
                     [&seen](size_t a, size_t b) { return seen[a].quiet_ms < seen[b].quiet_ms; });
    while (of_it.size() > limits.max_connections_per_client) {
      cut.push_back(of_it.back());
      of_it.pop_back();
    }
  }
  while (seen.size() - cut.size() > limits.max_connections) {
    auto& heaviest =
        std::max_element(clients.begin(), clients.end(), [&seen](const auto& a, const auto& b) {
          const auto weight = [&seen](const std::vector<size_t>& of_it) {
            return std::pair(of_it.size(), of_it.empty() ? 0U : seen[of_it.back()].quiet_ms);
          };
          return weight(a.second) < weight(b.second);
        })->second;
    cut.push_back(heaviest.back());
    heaviest.pop_back();
  }
  return cut;
}

ConnectionGuard::ConnectionGuard(const Clock& clock, const SchedulerConfig::GrpcServer& limits,
                                 std::vector<uint16_t> ports)
    : clock_(clock),
      limits_(limits),
      ports_(std::move(ports)),
      next_look_(clock.now().boot),
      loop_("connections", clock, [this] { return look(); }) {
  loop_.post([] {});  // the first turn
}

void ConnectionGuard::report(const std::vector<SeenConnection>& seen,
                             const std::vector<size_t>& cut, BootTime now) {
  cut_ += cut.size();
  if (cut.empty() || now < next_report_) return;
  next_report_ = now + kReportEvery;
  log_warning("scheduler", "gRPC connections are cut: there are too many",
              {{"cut", std::exchange(cut_, 0)},
               {"client", seen[cut.back()].client},
               {"max_connections", limits_.max_connections},
               {"max_connections_per_client", limits_.max_connections_per_client}});
}

// Asks of each descriptor no more than whose it is: nearly always that is all there is to do.
ConnectionGuard::Count ConnectionGuard::count() const {
  std::unordered_map<std::string, size_t> clients;
  Count count;
  for (const int descriptor : open_descriptors()) {
    const auto client = client_at(descriptor, ports_);
    if (!client) continue;
    ++count.all;
    count.of_one = std::max(count.of_one, ++clients[*client]);
  }
  return count;
}

bool ConnectionGuard::cut_some(BootTime now) {
  std::vector<SeenConnection> seen;
  std::vector<BorrowedSocket> sockets;
  std::set<int> ours;
  for (const int descriptor : open_descriptors()) {
    // A number of the list may be that of a descriptor of our own by now.
    if (ours.contains(descriptor) || !seen_at(descriptor, ports_)) continue;
    BorrowedSocket socket(descriptor);
    ours.insert(socket.get());
    auto connection = seen_at(socket.get(), ports_);
    if (!connection) continue;
    seen.push_back(*std::move(connection));
    sockets.push_back(std::move(socket));
  }
  const std::vector<size_t> cut = connections_to_cut(seen, limits_);
  for (const size_t index : cut) (void)::shutdown(sockets[index].get(), SHUT_RDWR);
  report(seen, cut, now);
  return !cut.empty();
}

std::optional<BootTime> ConnectionGuard::look() {
  const BootTime now = clock_.now().boot;
  if (now < next_look_) return next_look_;
  const Count seen = count();
  const bool too_many =
      seen.all > limits_.max_connections || seen.of_one > limits_.max_connections_per_client;
  const bool cut = too_many && cut_some(now);
  const bool many = cut || 2 * seen.all > limits_.max_connections;
  const BootTime end = clock_.now().boot;
  next_look_ = std::max(now + (many ? kLookOften : kLookEvery), end + kPauseForLook * (end - now));
  return next_look_;
}

}  // namespace clusterd
