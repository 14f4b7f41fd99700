#include "store/etcd_client.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "etcd/rpc.grpc.pb.h"

namespace clusterd {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr int kMaxAnswerBytes = 64 << 20;
constexpr int kKeepaliveMs = 10'000;  // etcd cuts those that ask more often than every 5 s
constexpr int kKeepaliveTimeoutMs = 5'000;
constexpr int kReconnectMs = 100;
constexpr int kLongestReconnectMs = 1'000;
constexpr unsigned kReadFilesEverySeconds = 60;
constexpr int kConnectTimeoutMs = 5'000;
// How long one of several members may take to be connected before the next one is tried.
constexpr nanoseconds kPatienceWithMember = std::chrono::milliseconds(500);
constexpr nanoseconds kLookAtStop = std::chrono::milliseconds(100);
constexpr nanoseconds kLeastAttempt = std::chrono::milliseconds(500);

absl::Status to_absl(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat("etcd: ", status.error_message()));
}

// etcd has not looked at the request: the token is too old, or of before a restart.
bool is_about_token(const absl::Status& status) {
  if (absl::IsUnauthenticated(status)) return true;
  return absl::IsInvalidArgument(status) &&
         (absl::StrContains(status.message(), "revision of auth store is old") ||
          absl::StrContains(status.message(), "user name is empty"));
}

absl::Status check_readable(const std::string& key, const std::string& file) {
  if (file.empty() || ::access(file.c_str(), R_OK) == 0) return absl::OkStatus();
  return invalid_field("store." + key, std::string(absl::ErrnoToStatus(errno, file).message()));
}

// Certificates are read again while it runs, so that renewed ones are used.
std::shared_ptr<grpc::ChannelCredentials> credentials_of(const SchedulerConfig::Store& settings) {
  namespace tls = grpc::experimental;
  if (!settings.use_tls) return grpc::InsecureChannelCredentials();
  tls::TlsChannelCredentialsOptions options;
  if (settings.crt_file.empty()) {
    options.set_certificate_provider(std::make_shared<tls::FileWatcherCertificateProvider>(
        settings.ca_file, kReadFilesEverySeconds));
  } else {
    options.set_certificate_provider(std::make_shared<tls::FileWatcherCertificateProvider>(
        settings.key_file, settings.crt_file, settings.ca_file, kReadFilesEverySeconds));
    options.watch_identity_key_cert_pairs();
  }
  options.watch_root_certs();
  options.set_certificate_verifier(std::make_shared<tls::HostNameCertificateVerifier>());
  return tls::TlsCredentials(options);
}

std::shared_ptr<grpc::Channel> channel_to(
    const std::string& endpoint, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLongestReconnectMs);
  return grpc::CreateCustomChannel(endpoint, credentials, arguments);
}

absl::StatusOr<std::string> read_password(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!file.is_open() || (!std::getline(file, line) && !file.eof())) {
    return invalid_field("store.password_file", "\"" + path + "\" cannot be read");
  }
  return line;
}

}  // namespace

// Where one of etcd's servers is called.
struct EtcdClient::Member {
  Member(const std::string& endpoint, const std::shared_ptr<grpc::ChannelCredentials>& credentials)
      : name(endpoint),
        channel(channel_to(endpoint, credentials)),
        kv(etcdserverpb::KV::NewStub(channel)),
        watch(etcdserverpb::Watch::NewStub(channel)),
        lease(etcdserverpb::Lease::NewStub(channel)),
        maintenance(etcdserverpb::Maintenance::NewStub(channel)),
        auth(etcdserverpb::Auth::NewStub(channel)) {}

  std::string name;
  std::shared_ptr<grpc::Channel> channel;  // gRPC's own; the stubs have it too
  std::unique_ptr<etcdserverpb::KV::Stub> kv;
  std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  std::unique_ptr<etcdserverpb::Lease::Stub> lease;
  std::unique_ptr<etcdserverpb::Maintenance::Stub> maintenance;
  std::unique_ptr<etcdserverpb::Auth::Stub> auth;
};

absl::StatusOr<std::unique_ptr<EtcdClient>> EtcdClient::make(const SchedulerConfig::Store& settings,
                                                             const Clock& clock) {
  if (settings.endpoints.empty()) return invalid_field("store.endpoints", "names no member");
  absl::Status status = check_readable("password_file", settings.password_file);
  if (settings.use_tls) {
    status.Update(check_readable("ca_file", settings.ca_file));
    status.Update(check_readable("crt_file", settings.crt_file));
    status.Update(check_readable("key_file", settings.key_file));
  }
  if (!status.ok()) return status;
  const auto credentials = credentials_of(settings);
  std::vector<Member> members;
  members.reserve(settings.endpoints.size());
  for (const std::string& endpoint : settings.endpoints) {
    members.emplace_back(endpoint, credentials);
  }
  return std::unique_ptr<EtcdClient>(
      new EtcdClient(clock, std::move(members), settings.user, settings.password_file));
}

EtcdClient::EtcdClient(const Clock& clock, std::vector<Member> members, std::string user,
                       std::string password_file)
    : clock_(clock),
      members_(std::move(members)),
      user_(std::move(user)),
      password_file_(std::move(password_file)) {}

EtcdClient::~EtcdClient() = default;

size_t EtcdClient::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

void EtcdClient::leave(size_t member) {
  const std::lock_guard lock(mutex_);
  if (current_ == member) current_ = (member + 1) % members_.size();
}

absl::StatusOr<std::string> EtcdClient::authenticate(Member& member, nanoseconds timeout) {
  // Read each time: it may have been changed.
  const auto password = read_password(password_file_);
  if (!password.ok()) return password.status();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  etcdserverpb::AuthenticateRequest request;
  request.set_name(user_);
  request.set_password(*password);
  etcdserverpb::AuthenticateResponse answer;
  const absl::Status status = to_absl(member.auth->Authenticate(&context, request, &answer));
  // A wrong password is INVALID_ARGUMENT with etcd.
  if (absl::IsInvalidArgument(status)) return absl::UnauthenticatedError(status.message());
  if (!status.ok()) return status;
  const std::lock_guard lock(mutex_);
  token_ = answer.token();
  return token_;
}

// A call to one that is not connected fails at once, and then nobody sees the connection through.
absl::Status EtcdClient::connect(Member& member, nanoseconds timeout, const std::stop_token& stop) {
  const nanoseconds patience =
      members_.size() > 1 ? std::min(timeout, kPatienceWithMember) : timeout;
  const BootTime deadline = clock_.now().boot + patience;
  while (!member.channel->WaitForConnected(std::chrono::system_clock::now() + kLookAtStop)) {
    if (stop.stop_requested()) return absl::CancelledError("called off");
    if (clock_.now().boot < deadline) continue;
    return absl::UnavailableError(absl::StrCat("etcd: ", member.name, " cannot be reached"));
  }
  return absl::OkStatus();
}

absl::Status EtcdClient::call_once(Member& member, nanoseconds timeout, const std::stop_token& stop,
                                   Send send) {
  const BootTime deadline = clock_.now().boot + timeout;
  if (auto connected = connect(member, timeout, stop); !connected.ok()) return connected;
  absl::Status status;
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::string token;
    if (!user_.empty()) {
      const std::unique_lock lock(mutex_);
      token = token_;
    }
    if (!user_.empty() && (token.empty() || attempt > 0)) {
      auto fresh = authenticate(member, deadline - clock_.now().boot);
      if (!fresh.ok()) return fresh.status();
      token = *std::move(fresh);
    }
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + (deadline - clock_.now().boot));
    // A member that is cut off from the others says so, instead of being silent.
    context.AddMetadata("hasleader", "true");
    if (!token.empty()) context.AddMetadata("token", token);
    const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
    status = to_absl(send(member, context));
    if (user_.empty() || !is_about_token(status)) return status;
  }
  return status;
}

absl::Status EtcdClient::call(const Limits& limits, Repeat repeat, Send send) {
  const BootTime deadline = clock_.now().boot + limits.timeout;
  const size_t attempts = repeat == Repeat::kElsewhere ? members_.size() : 1;
  // One that is silent must leave time for the others.
  const nanoseconds share = std::max(kLeastAttempt, limits.timeout / static_cast<int>(attempts));
  absl::Status status;
  for (size_t i = 0; i < attempts; ++i) {
    const nanoseconds left = deadline - clock_.now().boot;
    if (i > 0 && left <= nanoseconds(0)) return status;
    const size_t member = current();
    status = call_once(members_[member], std::min(share, left), limits.stop, send);
    if (!is_ambiguous(status) || absl::IsCancelled(status)) return status;
    if (repeat == Repeat::kWaits && absl::IsDeadlineExceeded(status)) return status;
    leave(member);
  }
  return status;
}

EtcdClient::Limits EtcdClient::of_read(Limits limits) const {
  if (!limits.stop.stop_possible()) limits.stop = reads_.get_token();
  return limits;
}

absl::StatusOr<etcdserverpb::RangeResponse> EtcdClient::range(
    const etcdserverpb::RangeRequest& request, const Limits& limits) {
  etcdserverpb::RangeResponse answer;
  const absl::Status status =
      call(of_read(limits), Repeat::kElsewhere, [&](Member& member, grpc::ClientContext& context) {
        answer.Clear();
        return member.kv->Range(&context, request, &answer);
      });
  if (!status.ok()) return status;
  return answer;
}

absl::StatusOr<mvccpb::KeyValue> EtcdClient::get(const std::string& key, const Limits& limits) {
  etcdserverpb::RangeRequest request;
  request.set_key(key);
  auto answer = range(request, limits);
  if (!answer.ok()) return answer.status();
  if (answer->kvs().empty()) return absl::NotFoundError(absl::StrCat("etcd has no key ", key));
  return std::move(*answer->mutable_kvs(0));
}

absl::StatusOr<etcdserverpb::TxnResponse> EtcdClient::txn(const etcdserverpb::TxnRequest& request,
                                                          const Limits& limits) {
  etcdserverpb::TxnResponse answer;
  const absl::Status status =
      call(limits, Repeat::kNever, [&](Member& member, grpc::ClientContext& context) {
        return member.kv->Txn(&context, request, &answer);
      });
  if (!status.ok()) return status;
  return answer;
}

absl::StatusOr<etcdserverpb::TxnResponse> EtcdClient::read(const etcdserverpb::TxnRequest& request,
                                                           const Limits& limits) {
  etcdserverpb::TxnResponse answer;
  const absl::Status status =
      call(of_read(limits), Repeat::kElsewhere, [&](Member& member, grpc::ClientContext& context) {
        answer.Clear();
        return member.kv->Txn(&context, request, &answer);
      });
  if (!status.ok()) return status;
  return answer;
}

absl::StatusOr<EtcdLease> EtcdClient::grant(nanoseconds ttl, const Limits& limits) {
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(std::chrono::ceil<seconds>(ttl).count());
  etcdserverpb::LeaseGrantResponse answer;
  EtcdLease lease;
  // One that was granted without our knowing ends by itself.
  const absl::Status status =
      call(limits, Repeat::kElsewhere, [&](Member& member, grpc::ClientContext& context) {
        lease.asked_at = clock_.now().boot;
        return member.lease->LeaseGrant(&context, request, &answer);
      });
  if (!status.ok()) return status;
  if (!answer.error().empty()) return absl::UnavailableError("etcd: " + answer.error());
  lease.id = answer.id();
  lease.ttl = seconds(answer.ttl());
  return lease;
}

absl::StatusOr<EtcdLease> EtcdClient::keep_alive(int64_t lease_id, const Limits& limits) {
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(lease_id);
  etcdserverpb::LeaseKeepAliveResponse answer;
  EtcdLease lease{.id = lease_id};
  const absl::Status status =
      call(limits, Repeat::kElsewhere, [&](Member& member, grpc::ClientContext& context) {
        lease.asked_at = clock_.now().boot;
        const auto stream = member.lease->LeaseKeepAlive(&context);
        const bool answered = stream->Write(request) && stream->Read(&answer);
        if (!answered) {
          const grpc::Status ended = stream->Finish();
          return ended.ok() ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream ended")
                            : ended;
        }
        // What is needed is here; the rest of the call is of no interest.
        context.TryCancel();
        (void)stream->Finish();
        return grpc::Status::OK;
      });
  if (!status.ok()) return status;
  if (answer.ttl() <= 0) return absl::NotFoundError(absl::StrCat("lease ", lease_id, " has ended"));
  lease.ttl = seconds(answer.ttl());
  return lease;
}

absl::Status EtcdClient::revoke(int64_t lease_id, const Limits& limits) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease_id);
  etcdserverpb::LeaseRevokeResponse answer;
  const absl::Status status =
      call(limits, Repeat::kElsewhere, [&](Member& member, grpc::ClientContext& context) {
        return member.lease->LeaseRevoke(&context, request, &answer);
      });
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<EtcdChange> EtcdClient::wait_for_change(const std::string& key,
                                                       int64_t from_revision,
                                                       const Limits& limits) {
  etcdserverpb::WatchRequest request;
  request.mutable_create_request()->set_key(key);
  request.mutable_create_request()->set_start_revision(from_revision);
  std::optional<EtcdChange> change;
  bool is_compacted = false;
  const absl::Status status =
      call(limits, Repeat::kWaits, [&](Member& member, grpc::ClientContext& context) {
        const auto stream = member.watch->Watch(&context);
        etcdserverpb::WatchResponse answer;
        if (!stream->Write(request)) return stream->Finish();
        while (!change && stream->Read(&answer)) {
          is_compacted = answer.compact_revision() > 0;
          if (answer.canceled()) {
            context.TryCancel();
            (void)stream->Finish();
            if (is_compacted) return grpc::Status::OK;
            return grpc::Status(grpc::StatusCode::UNAVAILABLE, answer.cancel_reason());
          }
          if (answer.events().empty()) continue;
          const mvccpb::Event& event = answer.events(0);
          change = EtcdChange{.is_deleted = event.type() == mvccpb::Event::DELETE,
                              .value = event.kv().value(),
                              .create_revision = event.kv().create_revision(),
                              .mod_revision = event.kv().mod_revision()};
        }
        if (change) context.TryCancel();
        const grpc::Status ended = stream->Finish();
        return change ? grpc::Status::OK : ended;
      });
  if (!status.ok()) return status;
  if (is_compacted) return absl::OutOfRangeError("etcd has compacted that revision");
  if (!change) return absl::UnavailableError("etcd: the watch ended");
  return *std::move(change);
}

absl::StatusOr<etcdserverpb::StatusResponse> EtcdClient::status(const Limits& limits) {
  etcdserverpb::StatusResponse answer;
  const absl::Status status =
      call(limits, Repeat::kElsewhere, [&](Member& member, grpc::ClientContext& context) {
        answer.Clear();
        return member.maintenance->Status(&context, etcdserverpb::StatusRequest(), &answer);
      });
  if (!status.ok()) return status;
  return answer;
}

absl::Status EtcdClient::compact(int64_t revision, const Limits& limits) {
  etcdserverpb::CompactionRequest request;
  request.set_revision(revision);
  etcdserverpb::CompactionResponse answer;
  const absl::Status status =
      call(limits, Repeat::kElsewhere, [&](Member& member, grpc::ClientContext& context) {
        return member.kv->Compact(&context, request, &answer);
      });
  // Somebody has compacted as far already.
  return absl::IsOutOfRange(status) ? absl::OkStatus() : status;
}

void EtcdClient::wait_for_connection(nanoseconds timeout) {
  (void)members_[current()].channel->WaitForConnected(
      std::chrono::system_clock::now() +
      std::chrono::duration_cast<std::chrono::system_clock::duration>(timeout));
}

bool is_ambiguous(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kInternal:
      return true;
    default:
      return false;
  }
}

bool is_no_space(const absl::Status& status) {
  return absl::IsResourceExhausted(status) &&
         absl::StrContains(status.message(), "database space exceeded");
}

bool is_too_busy(const absl::Status& status) {
  return absl::IsResourceExhausted(status) &&
         absl::StrContains(status.message(), "too many requests");
}

std::string end_of_prefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');  // etcd: to the end of all keys
  prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

}  // namespace clusterd
