// The verifier, on certificates of an authority of its own.
#include "rpc/tls_material.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "rpc/certificate_authority.h"

namespace clusterd {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::system_clock;

class Files {
 public:
  Files() {
    std::string pattern = (fs::temp_directory_path() / "tls-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
  }
  ~Files() { fs::remove_all(folder_); }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

 private:
  fs::path folder_;
};

CertificateAuthority authority(const std::string& cluster = "prod") {
  auto made = CertificateAuthority::create(cluster, hours(24));
  REQUIRE(made.ok());
  return *std::move(made);
}

IssuedCertificate issued(const CertificateAuthority& by, const std::string& who,
                         hours lifetime = hours(1)) {
  auto certificate = by.issue(*parse_identity(who), {"localhost", "127.0.0.1"}, lifetime);
  REQUIRE(certificate.ok());
  return *std::move(certificate);
}

PeerCertificates peer(const IssuedCertificate& certificate) {
  auto parsed = PeerCertificates::parse(certificate.certificate, "");
  REQUIRE(parsed.ok());
  return *std::move(parsed);
}

// A scheduler's set of `by`, with what is revoked.
TlsSettings settings_of(const Files& files, const CertificateAuthority& by,
                        const std::string& crl = "") {
  const IssuedCertificate own = issued(by, "scheduler/s1");
  TlsSettings settings{.table = "grpc_server",
                       .crt_file = files.write("s.pem", own.certificate),
                       .key_file = files.write("s.key", own.key),
                       .ca_file = files.write("ca.pem", by.own().certificate)};
  if (!crl.empty()) settings.crl_file = files.write("crl.pem", crl);
  return settings;
}

std::shared_ptr<const TlsMaterial> load(const TlsSettings& settings) {
  auto material = TlsMaterial::load(settings, system_clock::now());
  INFO(material.status());
  REQUIRE(material.ok());
  return *std::move(material);
}

std::string text_of(const absl::Status& status) { return std::string(status.message()); }

TEST_CASE("a good certificate says who its holder is", "[tls]") {
  const Files files;
  const CertificateAuthority ours = authority();
  const auto material = load(settings_of(files, ours));

  const auto identity = material->verify(peer(issued(ours, "client/operator/ann")), {});

  REQUIRE(identity.ok());
  CHECK(identity->text() == "client/operator/ann");
  CHECK(identity->cluster == "prod");
  CHECK_THAT(identity->credential, Catch::StartsWith("certificate:"));
  CHECK(material->own_identity()->text() == "scheduler/s1");
}

TEST_CASE("a refused certificate is told with its reason", "[tls]") {
  const Files files;
  const CertificateAuthority ours = authority();
  const CertificateAuthority foreign = authority();
  const IssuedCertificate revoked = issued(ours, "worker/gone");
  const IssuedCertificate kept = issued(ours, "worker/kept");
  const auto material = load(settings_of(files, ours, *ours.revoke(revoked.certificate, "")));
  const auto reason = [&material](const IssuedCertificate& shown) {
    return text_of(material->verify(peer(shown), {}).status());
  };

  CHECK_THAT(reason(issued(foreign, "worker/w1")),
             Catch::Contains("comes from none of the authorities in ca_file"));
  CHECK_THAT(reason(issued(ours, "worker/late", hours(-1))), Catch::Contains("expired at 20"));
  CHECK_THAT(reason(revoked),
             Catch::Contains("spiffe://prod/worker/gone") && Catch::EndsWith("has been revoked"));
  CHECK(material->verify(peer(kept), {}).ok());
  CHECK_THAT(text_of(material->verify_again(peer(revoked), system_clock::now()).status()),
             Catch::EndsWith("has been revoked"));
  CHECK_THAT(text_of(material->verify_again(peer(kept), system_clock::now() + hours(2)).status()),
             Catch::Contains("expired at 20"));
}

TEST_CASE("the called side must be the one that is expected", "[tls]") {
  using Kind = ExpectedPeer::Kind;
  const Files files;
  const CertificateAuthority ours = authority();
  const auto material = load(settings_of(files, ours));
  const auto verify = [&](const std::string& who, const ExpectedPeer& expected) {
    return material->verify(peer(issued(ours, who)), expected).status();
  };

  CHECK(verify("worker/db1", {Kind::kWorker, "db1"}).ok());
  CHECK(text_of(verify("worker/db2", {Kind::kWorker, "db1"})) ==
        "worker/db2 is not worker/db1, which is expected");
  CHECK_FALSE(verify("scheduler/db1", {Kind::kWorker, "db1"}).ok());
  CHECK(verify("scheduler/s2", {Kind::kScheduler, ""}).ok());
  CHECK(text_of(verify("worker/db1", {Kind::kScheduler, ""})) == "worker/db1 is no scheduler");
  CHECK_FALSE(verify("worker/db1", {Kind::kSchedulerOrHost, "localhost"}).ok());
  // A client's certificate is not for the called side.
  CHECK_FALSE(verify("client/admin/ann", {Kind::kScheduler, ""}).ok());
}

TEST_CASE("another cluster's certificate is refused", "[tls]") {
  const Files files;
  const CertificateAuthority ours = authority();
  TlsSettings settings = settings_of(files, ours);
  settings.cluster = "other";

  const auto status = load(settings)->verify(peer(issued(ours, "client/admin/ann")), {}).status();

  CHECK(text_of(status) == "client/admin/ann is of cluster \"prod\", this is \"other\"");
}

TEST_CASE("files that do not belong together are refused by name", "[tls]") {
  const Files files;
  const CertificateAuthority ours = authority();
  const CertificateAuthority foreign = authority();
  const TlsSettings good = settings_of(files, ours);
  const auto fault = [](const TlsSettings& settings) {
    return text_of(TlsMaterial::load(settings, system_clock::now()).status());
  };
  const auto with = [&good](std::string TlsSettings::*file, const std::string& path) {
    TlsSettings settings = good;
    settings.*file = path;
    return settings;
  };
  const std::string garbage = files.write("garbage", "no PEM at all\n");

  CHECK_THAT(fault(with(&TlsSettings::crt_file, "/none")), Catch::Contains("crt_file \"/none\""));
  CHECK_THAT(fault(with(&TlsSettings::crt_file, garbage)), Catch::Contains("holds no certificate"));
  CHECK_THAT(fault(with(&TlsSettings::key_file, garbage)), Catch::Contains("no private key"));
  CHECK_THAT(fault(with(&TlsSettings::ca_file, garbage)), Catch::StartsWith("grpc_server.ca_file"));
  CHECK_THAT(fault(with(&TlsSettings::crl_file, garbage)), Catch::Contains("no revocation list"));
  CHECK_THAT(
      fault(with(&TlsSettings::key_file, files.write("o.key", issued(ours, "worker/w").key))),
      Catch::Contains("is not the key of the certificate"));
  CHECK_THAT(fault(with(&TlsSettings::ca_file, files.write("f.pem", foreign.own().certificate))),
             Catch::Contains("comes from none of the authorities"));
  CHECK_THAT(text_of(TlsMaterial::load(good, system_clock::now() + hours(2)).status()),
             Catch::Contains("expired at"));
}

TEST_CASE("DNS names are who the configuration says", "[tls]") {
  const Files files;
  const CertificateAuthority ours = authority();
  TlsSettings settings = settings_of(files, ours);
  settings.identities = {{"db1.example.org", "worker/db1"}};
  const auto bad = [&settings] {
    TlsSettings wrong = settings;
    wrong.identities = {{"db1.example.org", "root/db1"}};
    return wrong;
  }();

  CHECK(load(settings)->verify(peer(issued(ours, "worker/w1")), {}).ok());
  CHECK_FALSE(TlsMaterial::load(bad, system_clock::now()).ok());
}

TEST_CASE("an authority issues for its own time, and revokes its own only", "[tls]") {
  const CertificateAuthority ours = authority();
  const CertificateAuthority foreign = authority();
  const auto list = ours.revoke(issued(ours, "worker/a").certificate, "");
  REQUIRE(list.ok());
  const auto longer = ours.revoke(issued(ours, "worker/b").certificate, *list);
  REQUIRE(longer.ok());

  CHECK(X509_CRL_get_REVOKED(parse_crls(*longer)->front().get()) != nullptr);
  CHECK(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(parse_crls(*longer)->front().get())) == 2);
  CHECK_FALSE(ours.revoke(issued(foreign, "worker/a").certificate, "").ok());
  CHECK_FALSE(foreign.revoke(issued(foreign, "worker/a").certificate, *list).ok());
  CHECK(ours.issue(*parse_identity("worker/a"), {}, hours(48)).status().code() ==
        absl::StatusCode::kFailedPrecondition);
  CHECK_FALSE(ours.issue(*parse_identity("worker/a"), {"a,URI:x"}, hours(1)).ok());
  const auto again = CertificateAuthority::load(ours.own().certificate, ours.own().key);
  REQUIRE(again.ok());
  CHECK(again->cluster() == "prod");
  CHECK_FALSE(CertificateAuthority::load(ours.own().certificate, foreign.own().key).ok());
  CHECK_FALSE(CertificateAuthority::create("PROD/x", hours(1)).ok());
}

}  // namespace
}  // namespace clusterd
