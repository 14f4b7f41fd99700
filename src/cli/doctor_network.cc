// Ports, and the ways between scheduler and workers.
#include <google/protobuf/util/time_util.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/doctor_checks.h"
#include "clusterd/v1/scheduler_service.grpc.pb.h"
#include "clusterd/v1/worker_service.grpc.pb.h"
#include "core/address.h"
#include "core/units.h"
#include "rpc/credentials.h"
#include "rpc/grpc_status.h"
#include "rpc/http_get.h"
#include "rpc/link_security.h"
#include "rpc/server_time.h"
#include "store/sqlite_archive.h"

namespace clusterd {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kAnswersWithin(5);
constexpr std::chrono::seconds kSkewOfNote(2);
constexpr size_t kAskedAtOnce = 32;
constexpr char kReach[] = "reachability";

// What a call found out.
struct Answer {
  absl::Status status;
  std::optional<std::chrono::nanoseconds> skew;  // of their clock against ours
};

void set_deadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kAnswersWithin);
  context.set_wait_for_ready(true);  // a first refusal may be of another address of the name
}

// OK where the other side is whom we expect, whether or not we may do more there.
absl::Status reached(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::PERMISSION_DENIED) return absl::OkStatus();
  return from_grpc(status);
}

Answer ask_scheduler(const std::string& address,
                     const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  const auto stub = v1::SchedulerService::NewStub(make_channel(address, credentials));
  grpc::ClientContext context;
  set_deadline(context);
  v1::Cluster cluster;
  const WallTime before = SystemClock().now().wall;
  const grpc::Status status = stub->GetCluster(&context, v1::GetClusterRequest(), &cluster);
  const WallTime after = SystemClock().now().wall;
  Answer answer{reached(status), std::nullopt};
  const auto theirs = answer.status.ok() ? told_time(context) : std::nullopt;
  if (theirs) answer.skew = *theirs - (before + (after - before) / 2);
  return answer;
}

absl::Status ask_worker(const std::string& address,
                        const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  const auto stub = v1::WorkerService::NewStub(make_channel(address, credentials));
  grpc::ClientContext context;
  set_deadline(context);
  v1::WorkerIdentity identity;
  return reached(stub->Identify(&context, v1::IdentifyRequest(), &identity));
}

// The address as one of this machine calls it.
absl::StatusOr<Address> local_address(const std::string& text) {
  auto address = parse_address(text);
  if (!address.ok()) return address;
  if (address->host.empty() || address->host == "0.0.0.0") address->host = "127.0.0.1";
  if (address->host == "::") address->host = "::1";
  if (address->port != 0) return address;
  return absl::FailedPreconditionError("port 0 is another one each time: it cannot be asked");
}

// Binds it for a moment. The status says why it cannot be had.
absl::Status try_to_bind(const std::string& text) {
  const auto address = parse_address(text);
  if (!address.ok()) return address.status();
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const char* host = address->host.empty() ? nullptr : address->host.c_str();
  const int error = ::getaddrinfo(host, std::to_string(address->port).c_str(), &hints, &found);
  if (error != 0) return absl::NotFoundError(::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  const int socket = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  (void)::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const bool is_bound = ::bind(socket, found->ai_addr, found->ai_addrlen) == 0;
  const absl::Status status = is_bound ? absl::OkStatus() : absl::ErrnoToStatus(errno, "bind");
  ::close(socket);
  return status;
}

std::string mend_of_way(const std::string& to) {
  return absl::StrCat("is ", to,
                      " up, is the address right, does a firewall let it pass? With TLS both sides "
                      "need certificates of one authority: `clusterd tls verify`");
}

void add_answer_of(const v1::Worker& worker, const absl::Status& answer, Findings& findings) {
  const std::string& name = worker.name();
  if (answer.ok()) {
    return add_good(findings, kReach,
                    absl::StrCat("worker ", name, " answers at ", worker.address()));
  }
  add_error(findings, kReach,
            absl::StrCat("worker ", name, " does not answer at ", worker.address(), ": ",
                         answer.message()),
            absl::StrCat(mend_of_way("the worker"),
                         "; if it will not come back: `clusterd cluster remove ", name, "`"));
}

}  // namespace

void add_skew(const std::string& address, std::chrono::nanoseconds skew, Findings& findings) {
  const auto size = skew < skew.zero() ? -skew : skew;
  const std::string text = absl::StrCat(
      "the clock of ", address, " is ", std::chrono::duration_cast<milliseconds>(size).count(),
      " ms ", skew < skew.zero() ? "behind" : "ahead of", " this one");
  if (size < kSkewOfNote) return add_good(findings, "clock", text);
  add_warning(findings, "clock", text,
              "run chrony or systemd-timesyncd on both machines: times of jobs and certificates go "
              "by the clock");
}

void check_port(const std::string& key, const std::string& address, bool is_running,
                Findings& findings) {
  const absl::Status status = try_to_bind(address);
  if (status.ok()) return add_good(findings, "ports", absl::StrCat(key, ": ", address, " is free"));
  const bool is_taken = status.message().find(std::strerror(EADDRINUSE)) != std::string::npos;
  if (is_taken && is_running) {
    return add_good(findings, "ports", absl::StrCat(key, ": the daemon listens at ", address));
  }
  add_error(findings, "ports",
            absl::StrCat(key, ": ", address, " cannot be listened at: ", status.message()),
            is_taken
                ? "another program has the port (`ss -ltnp` says which): end it, or take another "
                  "port"
                : "name an address of this machine, and a port of 1024 or more");
}

void check_way_to_scheduler(const WorkerConfig& config, Findings& findings) {
  if (config.scheduler.protocol != "clusterd") return;
  const auto security = LinkSecurity::make("doctor", Role::kWorker, config.grpc_server);
  if (!security.ok()) return;  // among the certificates
  for (const std::string& address : config.scheduler.addr) {
    const Answer answer = ask_scheduler(
        address, (*security)->channel_credentials({ExpectedPeer::Kind::kScheduler, ""}));
    if (!answer.status.ok()) {
      add_error(
          findings, kReach,
          absl::StrCat("scheduler.addr: ", address, " does not answer: ", answer.status.message()),
          mend_of_way("the scheduler"));
      continue;
    }
    add_good(findings, kReach, absl::StrCat("the scheduler at ", address, " answers"));
    if (answer.skew) add_skew(address, *answer.skew, findings);
  }
}

void check_own_address(const WorkerConfig& config, bool is_running, Findings& findings) {
  const std::string& advertised = config.grpc_server.advertise_addr;
  const auto own = parse_address(advertised.empty() ? config.grpc_server.addr : advertised);
  bool has_remote = false;
  for (const std::string& text : config.scheduler.addr) {
    const auto scheduler = parse_address(text);
    has_remote = has_remote || (scheduler.ok() && !is_loopback(scheduler->host));
  }
  if (has_remote && own.ok() && is_loopback(own->host)) {
    return add_error(
        findings, kReach,
        absl::StrCat("the scheduler is on another machine and cannot call the worker at ",
                     format_address(*own)),
        "let the worker listen at an address of the network: grpc_server.addr, or tell "
        "another one with advertise_addr");
  }
  if (!is_running || advertised.empty()) return;
  const auto security = LinkSecurity::make("doctor", Role::kWorker, config.grpc_server);
  if (!security.ok()) return;
  const absl::Status status = ask_worker(
      advertised,
      (*security)->channel_credentials({ExpectedPeer::Kind::kWorker, (*security)->own_name()}));
  if (status.ok()) {
    return add_good(findings, kReach, absl::StrCat("the worker answers at ", advertised));
  }
  add_error(findings, kReach,
            absl::StrCat("grpc_server.advertise_addr: the worker does not answer at ", advertised,
                         ": ", status.message()),
            "advertise_addr is where the scheduler calls this worker: correct it, or leave it out");
}

void check_way_to_workers(const SchedulerConfig& config, Findings& findings) {
  const auto stored = workers_in_sqlite(config.store.path);
  const auto security = LinkSecurity::make("doctor", Role::kScheduler, config.grpc_server);
  if (!stored.ok() || !security.ok()) return;  // told elsewhere
  std::vector<const v1::Worker*> workers;
  for (const v1::Worker& worker : *stored) {
    const bool is_there =
        worker.state() != v1::Worker::LEFT && worker.state() != v1::Worker::OFFLINE;
    if (is_there && worker.protocol() == v1::Worker::CLUSTERD) workers.push_back(&worker);
  }
  for (size_t begin = 0; begin < workers.size(); begin += kAskedAtOnce) {
    const size_t end = std::min(begin + kAskedAtOnce, workers.size());
    std::vector<std::future<absl::Status>> answers;
    for (size_t i = begin; i < end; ++i) {
      answers.push_back(std::async(std::launch::async, [&security, worker = workers[i]] {
        return ask_worker(worker->address(), (*security)->channel_credentials(
                                                 {ExpectedPeer::Kind::kWorker, worker->name()}));
      }));
    }
    for (size_t i = begin; i < end; ++i) {
      add_answer_of(*workers[i], answers[i - begin].get(), findings);
    }
  }
}

absl::Status check_live(const SchedulerConfig& config) {
  const auto address = local_address(config.http_server.addr);
  if (!address.ok()) return address.status();
  const std::string url = absl::StrCat(config.http_server.use_tls ? "https://" : "http://",
                                       format_address(*address), "/readyz");
  const auto answer = http_get(url, kAnswersWithin);
  if (!answer.ok()) return absl::UnavailableError(answer.status().message());
  if (answer->status == 200) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(url, " answers ", answer->status, " ", answer->body));
}

absl::Status check_live(const WorkerConfig& config) {
  const auto address = local_address(config.grpc_server.addr);
  if (!address.ok()) return address.status();
  const auto security = LinkSecurity::make("doctor", Role::kWorker, config.grpc_server);
  if (!security.ok()) return security.status();
  const absl::Status status = ask_worker(
      format_address(*address),
      (*security)->channel_credentials({ExpectedPeer::Kind::kWorker, (*security)->own_name()}));
  return status.ok() ? status : absl::UnavailableError(status.message());
}

}  // namespace clusterd
