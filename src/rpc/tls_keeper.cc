#include "rpc/tls_keeper.h"

#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <utility>

#include "core/log.h"
#include "rpc/grpc_status.h"

namespace clusterd {
namespace {

using grpc::experimental::ExternalCertificateVerifier;
using grpc::experimental::FileWatcherCertificateProvider;
using grpc::experimental::StaticDataCertificateProvider;
using grpc::experimental::TlsCustomVerificationCheckRequest;
using std::chrono::system_clock;

constexpr unsigned kProviderLooksEverySeconds = 1;
constexpr auto kRemindAhead = std::chrono::hours(14 * 24);
constexpr auto kRemindEvery = std::chrono::hours(24);
constexpr auto kLookForEnded = std::chrono::minutes(1);

std::string name_of(const TlsMaterial& material) {
  const std::optional<Identity> ours = material.own_identity();
  return ours ? ours->text() : "";
}

std::string_view view(grpc::string_ref text) { return {text.data(), text.size()}; }

// gRPC's door to our verifier, at the end of each handshake. OpenSSL has checked that the peer
// holds the key of its certificate, and nothing else.
class PeerVerifier final : public ExternalCertificateVerifier {
 public:
  // `keeper` outlives every connection.
  PeerVerifier(const TlsKeeper& keeper, std::string component, ExpectedPeer expected,
               bool demand_certificate)
      : keeper_(keeper),
        component_(std::move(component)),
        expected_(std::move(expected)),
        demand_certificate_(demand_certificate) {}

  bool Verify(TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)> /*callback*/, grpc::Status* status) override {
    *status = to_grpc(verify(*request));
    return true;  // done, without the callback
  }
  void Cancel(TlsCustomVerificationCheckRequest* /*request*/) override {}

 private:
  absl::Status verify(const TlsCustomVerificationCheckRequest& request) const {
    if (request.peer_cert().empty() && !demand_certificate_) return absl::OkStatus();
    const auto peer =
        PeerCertificates::parse(view(request.peer_cert()), view(request.peer_cert_full_chain()));
    absl::Status status = peer.status();
    if (status.ok()) status = keeper_.current()->verify(*peer, expected_).status();
    if (status.ok() || component_.empty()) return status;
    const bool called = expected_.kind == ExpectedPeer::Kind::kCaller;
    log_warning(component_,
                called ? "a caller's certificate is refused"
                       : "the certificate of the called side is refused",
                {{"reason", std::string(status.message())}});
    return status;
  }

  const TlsKeeper& keeper_;
  const std::string component_;
  const ExpectedPeer expected_;
  const bool demand_certificate_;
};

}  // namespace

TlsKeeper::TlsKeeper(std::string component, TlsSettings settings)
    : component_(std::move(component)), settings_(std::move(settings)) {}

absl::StatusOr<std::unique_ptr<TlsKeeper>> TlsKeeper::make(std::string component,
                                                           TlsSettings settings) {
  std::unique_ptr<TlsKeeper> keeper(new TlsKeeper(std::move(component), std::move(settings)));
  auto material = TlsMaterial::load(keeper->settings_, system_clock::now());
  if (!material.ok()) return material.status();
  if (absl::Status status = keeper->adopt(*std::move(material)); !status.ok()) return status;
  return keeper;
}

absl::Status TlsKeeper::adopt(std::shared_ptr<const TlsMaterial> material) {
  absl::Status status = key_and_chain_.replace(material->key_and_chain());
  if (!status.ok()) return status;
  for (const std::string& warning : material->warnings()) {
    if (component_.empty()) break;
    log_warning(component_, "TLS", {{"warning", warning}});
  }
  material_ = std::move(material);
  ++generation_;
  next_reminder_ = {};
  return absl::OkStatus();
}

std::shared_ptr<grpc::ServerCredentials> TlsKeeper::server_credentials(
    bool demand_certificate, std::shared_ptr<grpc::AuthMetadataProcessor> processor) {
  if (provider_ == nullptr) {
    const std::string file = key_and_chain_.path();  // a reader finds in it what it looks for
    provider_ =
        std::make_shared<FileWatcherCertificateProvider>(file, file, kProviderLooksEverySeconds);
  }
  grpc::experimental::TlsServerCredentialsOptions options(provider_);
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(
      demand_certificate ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_BUT_DONT_VERIFY
                         : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
  options.set_certificate_verifier(ExternalCertificateVerifier::Create<PeerVerifier>(
      *this, component_, ExpectedPeer{}, demand_certificate));
  auto credentials = grpc::experimental::TlsServerCredentials(options);
  credentials->SetAuthMetadataProcessor(std::move(processor));
  return credentials;
}

std::shared_ptr<grpc::ChannelCredentials> TlsKeeper::channel_credentials(
    ExpectedPeer expected) const {
  const auto material = current();
  std::vector<grpc::experimental::IdentityKeyCertPair> pairs;
  if (material->own()) pairs.push_back({material->key_and_chain(), material->key_and_chain()});
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(
      std::make_shared<StaticDataCertificateProvider>(material->authorities(), pairs));
  if (material->own()) options.watch_identity_key_cert_pairs();
  options.watch_root_certs();  // else gRPC wants the system's
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(ExternalCertificateVerifier::Create<PeerVerifier>(
      *this, component_, std::move(expected), true));
  return grpc::experimental::TlsCredentials(options);
}

absl::Status TlsKeeper::reload() {
  auto material = TlsMaterial::load(settings_, system_clock::now());
  absl::Status status = material.status();
  if (status.ok()) status = adopt(*std::move(material));
  if (component_.empty()) return status;
  if (!status.ok()) {
    log_error(component_, "certificates cannot be reloaded; the last good ones stay in use",
              {{"error", std::string(status.message())}});
    return status;
  }
  const auto current = material_.load();
  log_info(
      component_, "certificates reloaded",
      {{"table", settings_.table},
       {"identity", name_of(*current)},
       {"serial", current->own() ? current->own()->serial : std::string()},
       {"not_after", current->own() ? format_time(current->own()->not_after) : std::string()}});
  return status;
}

std::optional<system_clock::time_point> TlsKeeper::not_after() const {
  const auto current = material_.load();
  if (!current->own()) return std::nullopt;
  return current->own()->not_after;
}

void TlsKeeper::remind(system_clock::time_point now) {
  const auto current = material_.load();
  if (!current->own() || current->own()->not_after - now > kRemindAhead) return;
  if (now < next_reminder_) return;
  next_reminder_ = now + kRemindEvery;
  const bool expired = current->own()->not_after <= now;
  log_warning(component_, expired ? "the certificate has expired" : "the certificate expires soon",
              {{"crt_file", settings_.crt_file},
               {"identity", name_of(*current)},
               {"not_after", format_time(current->own()->not_after)}});
}

std::vector<std::string> TlsKeeper::files() const {
  std::vector<std::string> files;
  for (const std::string* file :
       {&settings_.crt_file, &settings_.key_file, &settings_.ca_file, &settings_.crl_file}) {
    if (!file->empty()) files.push_back(*file);
  }
  return files;
}

Reloadable TlsKeeper::reloadable(std::function<void()> then) {
  Reloadable item;
  item.files = files();
  item.reload = [this, then] {
    if (reload().ok()) then();
  };
  item.look = [this, then = std::move(then), next = WallTime()](WallTime now) mutable {
    remind(std::chrono::time_point_cast<system_clock::duration>(now));
    if (now < next) return;
    next = now + kLookForEnded;
    then();  // certificates end by themselves
  };
  return item;
}

}  // namespace clusterd
