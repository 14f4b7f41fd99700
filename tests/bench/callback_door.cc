#include "bench/callback_door.h"

#include <arpa/inet.h>
#include <grpcpp/security/server_credentials.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/simulated_fleet.h"
#include "core/address.h"
#include "rpc/credentials.h"
#include "rpc/grpc_status.h"

namespace clusterd::bench {
namespace {

constexpr uint32_t kFirstAddress = (127U << 24) | (1U << 16);  // 127.1.0.0
constexpr std::chrono::milliseconds kCallsEndWithin(500);

absl::Status failed(const char* what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

// `ask` is given the member and what takes its answer.
template <typename Response, typename Ask>
grpc::ServerUnaryReactor* answer(grpc::CallbackServerContext* context, Response* response,
                                 Ask ask) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const grpc::string_ref authority = context->ExperimentalGetAuthority();
  const auto member = member_at({authority.data(), authority.size()});
  if (!member) {
    reactor->Finish({grpc::StatusCode::NOT_FOUND, "no member is at this address"});
    return reactor;
  }
  ask(*member, [reactor, response](absl::StatusOr<Response> result) {
    const absl::Status status = result.status();
    if (status.ok()) *response = *std::move(result);
    reactor->Finish(to_grpc(status));
  });
  return reactor;
}

}  // namespace

absl::StatusOr<LoopbackListener> LoopbackListener::open() {
  LoopbackListener listener{.fd = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
  const int fd = listener.fd.get();
  if (fd < 0) return failed("socket");
  constexpr char kLoopback[] = "lo";
  if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, kLoopback, sizeof kLoopback) != 0) {
    return failed("SO_BINDTODEVICE lo");
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, any, size) != 0) return failed("bind");
  if (listen(fd, SOMAXCONN) != 0) return failed("listen");
  if (getsockname(fd, any, &size) != 0) return failed("getsockname");
  listener.port = ntohs(address.sin_port);
  return listener;
}

std::string callback_address(uint32_t member, uint16_t port) {
  const in_addr address{.s_addr = htonl(kFirstAddress + member)};
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &address, text, sizeof text);
  return absl::StrCat(text, ":", port);
}

std::optional<uint32_t> member_at(std::string_view address) {
  const auto parsed = parse_address(address);
  in_addr host{};
  if (!parsed.ok() || inet_pton(AF_INET, parsed->host.c_str(), &host) != 1) return std::nullopt;
  const uint32_t number = ntohl(host.s_addr);
  if (number < kFirstAddress || number - kFirstAddress >= kMostMembers) return std::nullopt;
  return number - kFirstAddress;
}

CallbackDoor::CallbackDoor(LoopbackListener listener, SimulatedFleet& fleet)
    : listener_(std::move(listener)), fleet_(fleet) {
  grpc::ServerBuilder builder;
  apply_server_limits(builder);
  acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      grpc::InsecureServerCredentials());
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  thread_ = std::thread([this] { accept_connections(); });
}

CallbackDoor::~CallbackDoor() {
  (void)shutdown(listener_.fd.get(), SHUT_RDWR);  // ends accept4
  thread_.join();
  server_->Shutdown(std::chrono::system_clock::now() + kCallsEndWithin);
}

void CallbackDoor::accept_connections() {
  while (true) {
    const int fd = accept4(listener_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
      connection.listener_fd = listener_.fd.get();
      connection.fd = fd;
      acceptor_->HandleNewConnection(&connection);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;  // the end, or no descriptors: who connects then is not answered
    }
  }
}

grpc::ServerUnaryReactor* CallbackDoor::Identify(grpc::CallbackServerContext* context,
                                                 const v1::IdentifyRequest* /*request*/,
                                                 v1::WorkerIdentity* response) {
  return answer(context, response,
                [this](uint32_t member, auto done) { fleet_.identify(member, std::move(done)); });
}

grpc::ServerUnaryReactor* CallbackDoor::StartJobs(grpc::CallbackServerContext* context,
                                                  const v1::StartJobsRequest* request,
                                                  v1::StartJobsResponse* response) {
  return answer(context, response, [this, request](uint32_t member, auto done) {
    fleet_.start_jobs(member, *request, std::move(done));
  });
}

grpc::ServerUnaryReactor* CallbackDoor::StopJobs(grpc::CallbackServerContext* context,
                                                 const v1::StopJobsRequest* request,
                                                 v1::StopJobsResponse* response) {
  return answer(context, response, [this, request](uint32_t member, auto done) {
    fleet_.stop_jobs(member, *request, std::move(done));
  });
}

}  // namespace clusterd::bench
