#include "rpc/local_peer.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"

namespace clusterd {
namespace {

struct Question {
  nlmsghdr header;
  inet_diag_req_v2 body;
};

// Fills an address of the question; the family that it has.
std::optional<int> set_ip(const std::string& host, __be32 (&target)[4]) {
  if (inet_pton(AF_INET, host.c_str(), target) == 1) return AF_INET;
  if (inet_pton(AF_INET6, host.c_str(), target) == 1) return AF_INET6;
  return std::nullopt;
}

// The socket at the other end: its own address is the peer's, its peer is the listener.
std::optional<Question> question_about(const Address& peer, const Address& listener) {
  Question question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  inet_diag_sockid& id = question.body.id;
  const auto family = set_ip(peer.host, id.idiag_src);
  if (!family || set_ip(listener.host, id.idiag_dst) != family) return std::nullopt;
  id.idiag_sport = htons(peer.port);
  id.idiag_dport = htons(listener.port);
  id.idiag_cookie[0] = id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  question.body.sdiag_family = static_cast<__u8>(*family);
  question.body.sdiag_protocol = IPPROTO_TCP;
  question.body.idiag_states = ~0U;
  return question;
}

absl::Status not_open() {
  return absl::NotFoundError("the caller's side of the connection is not open");
}

// UNAVAILABLE: the kernel does not answer such questions, or knows no such socket.
absl::StatusOr<uid_t> ask(int socket, const Question& question) {
  const absl::Status no_answer = absl::UnavailableError("sock_diag has no answer");
  if (send(socket, &question, sizeof question, 0) != sizeof question) return no_answer;
  alignas(nlmsghdr) std::array<char, 8192> answer{};
  const ssize_t size = recv(socket, answer.data(), answer.size(), 0);
  nlmsghdr header{};
  inet_diag_msg found{};
  if (size < static_cast<ssize_t>(NLMSG_HDRLEN + sizeof found)) return no_answer;
  std::memcpy(&header, answer.data(), sizeof header);
  if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY) return no_answer;
  std::memcpy(&found, answer.data() + NLMSG_HDRLEN, sizeof found);
  // A socket in any other state may have lost its owner already; the kernel then says root.
  if (found.idiag_state != TCP_ESTABLISHED) return not_open();
  return found.idiag_uid;
}

absl::StatusOr<uid_t> ask_kernel(const Question& question) {
  const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (socket < 0) return absl::UnavailableError("there is no sock_diag");
  auto user = ask(socket, question);
  close(socket);
  return user;
}

// "0100007F:1F90", as /proc/net/tcp writes it: the address word by word in the machine's order.
std::string table_text(const __be32 (&ip)[4], int family, uint16_t port) {
  std::string text;
  for (int word = 0; word < (family == AF_INET ? 1 : 4); ++word) {
    text += absl::StrFormat("%08X", ip[word]);
  }
  return text + absl::StrFormat(":%04X", port);
}

// The same from the table of all connections, for kernels without sock_diag.
absl::StatusOr<uid_t> look_up(const Question& question) {
  const int family = question.body.sdiag_family;
  const inet_diag_sockid& id = question.body.id;
  const std::string source = table_text(id.idiag_src, family, ntohs(id.idiag_sport));
  const std::string target = table_text(id.idiag_dst, family, ntohs(id.idiag_dport));
  constexpr std::string_view kEstablished = "01";
  std::ifstream table(family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6");
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string number;
    std::string local;
    std::string remote;
    std::string state;
    std::string ignored;
    uid_t user = 0;
    words >> number >> local >> remote >> state >> ignored >> ignored >> ignored >> user;
    if (words && local == source && remote == target && state == kEstablished) return user;
  }
  return not_open();
}

}  // namespace

absl::StatusOr<uid_t> user_of_peer(const Address& peer, const Address& listener) {
  const auto question = question_about(peer, listener);
  if (!question) return absl::NotFoundError(format_address(peer) + " is no process here");
  const auto user = ask_kernel(*question);
  return absl::IsUnavailable(user.status()) ? look_up(*question) : user;
}

}  // namespace clusterd
