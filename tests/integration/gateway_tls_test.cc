#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>

#include "integration/gateway_fixture.h"

using namespace clusterd;
using namespace clusterd::testing;

namespace {

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Stream = std::unique_ptr<BIO, Freed<BIO_free_all>>;

// A folder with a key and a certificate for 127.0.0.1 that signs itself.
class TlsFolder {
 public:
  TlsFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gateway-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
    const Key key(EVP_EC_gen("P-256"));
    const Certificate certificate(X509_new());
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    X509_sign(certificate.get(), key.get(), EVP_sha256());
    write(crt_file(), [&](FILE* file) { PEM_write_X509(file, certificate.get()); });
    write(key_file(), [&](FILE* file) {
      PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  ~TlsFolder() { std::filesystem::remove_all(path_); }
  TlsFolder(const TlsFolder&) = delete;
  TlsFolder& operator=(const TlsFolder&) = delete;

  [[nodiscard]] std::string crt_file() const { return path_ / "server.pem"; }
  [[nodiscard]] std::string key_file() const { return path_ / "server.key"; }

 private:
  template <typename Write>
  static void write(const std::string& path, Write&& content) {
    FILE* file = std::fopen(path.c_str(), "w");
    REQUIRE(file != nullptr);
    content(file);
    REQUIRE(std::fclose(file) == 0);
  }

  std::filesystem::path path_;
};

// Sends one request over TLS and returns all that comes back until `end` is in it.
std::string exchange(const std::string& address, const std::string& request,
                     const std::string& end) {
  const Context context(SSL_CTX_new(TLS_client_method()));
  const Stream stream(BIO_new_ssl_connect(context.get()));
  BIO_set_conn_hostname(stream.get(), address.c_str());
  REQUIRE(BIO_do_handshake(stream.get()) == 1);
  REQUIRE(BIO_write(stream.get(), request.data(), static_cast<int>(request.size())) ==
          static_cast<int>(request.size()));
  std::string answer;
  std::array<char, 65536> piece{};
  while (answer.find(end) == std::string::npos) {
    const int got = BIO_read(stream.get(), piece.data(), static_cast<int>(piece.size()));
    if (got <= 0) break;
    answer.append(piece.data(), static_cast<size_t>(got));
  }
  return answer;
}

}  // namespace

TEST_CASE("all of it works over TLS as well", "[gateway][tls]") {
  const TlsFolder files;
  SchedulerConfig::HttpServer config;
  config.use_tls = true;
  config.crt_file = files.crt_file();
  config.key_file = files.key_file();
  GatewayFixture gateway(config);

  const std::string created =
      exchange(gateway.address(),
               "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", "}\n");
  gateway.service().append_output("job-1", std::string(1 << 20, 'x'));
  gateway.service().end_job("job-1", v1::Job::SUCCEEDED, {});
  const std::string output = exchange(
      gateway.address(), "GET /v1/jobs/job-1/output?follow HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "Job-State: SUCCEEDED\r\n\r\n");

  CHECK_THAT(created, Catch::StartsWith("HTTP/1.1 201 Created"));
  CHECK(output.size() > 1 << 20);
  CHECK_THAT(output.substr(output.size() - 100),
             Catch::Contains("Clusterd-Output-Length: 1048576"));
}

TEST_CASE("plaintext on a TLS listener is closed", "[gateway][tls]") {
  const TlsFolder files;
  SchedulerConfig::HttpServer config;
  config.use_tls = true;
  config.crt_file = files.crt_file();
  config.key_file = files.key_file();
  GatewayFixture gateway(config);
  RawHttp client(gateway.address());

  client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");

  CHECK(client.receive().status == 0);
}

TEST_CASE("a TLS file that is no good is named", "[gateway][tls]") {
  const TlsFolder files;
  GatewayFixture other;
  const CallerRules callers({});
  SchedulerConfig::HttpServer config;
  config.addr = "127.0.0.1:0";
  config.use_tls = true;
  config.crt_file = "no-such.pem";
  config.key_file = files.key_file();
  HttpGateway without_crt(
      config, other.channel(), [] { return absl::OkStatus(); }, false, callers);
  config.crt_file = files.crt_file();
  config.key_file = files.crt_file();
  HttpGateway without_key(
      config, other.channel(), [] { return absl::OkStatus(); }, false, callers);

  CHECK_THAT(without_crt.start().ToString(), Catch::Contains("crt_file \"no-such.pem\""));
  CHECK_THAT(without_key.start().ToString(), Catch::Contains("key_file"));
}
