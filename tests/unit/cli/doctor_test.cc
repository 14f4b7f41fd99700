// What `clusterd doctor` says of times that a test from outside cannot bring about; the rest is in
// tests/e2e/doctor_test.py.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/doctor_checks.h"
#include "cli/run_doctor.h"
#include "rpc/certificate_authority.h"

namespace clusterd {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Certificates of a worker in a folder that goes with the test.
class Files {
 public:
  Files() {
    std::string folder = (std::filesystem::temp_directory_path() / "doctor-XXXXXX").native();
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    folder_ = folder;
    const auto authority = CertificateAuthority::create("c", hours(24 * 3650));
    REQUIRE(authority.ok());
    const auto identity = parse_identity("worker/w1");
    const auto issued = authority->issue(*identity, {"127.0.0.1"}, hours(24 * 365));
    REQUIRE(issued.ok());
    listener.use_tls = true;
    listener.ca_file = write("ca.pem", authority->own().certificate);
    listener.crt_file = write("w1.pem", issued->certificate);
    listener.key_file = write("w1.key", issued->key);
  }
  ~Files() { std::filesystem::remove_all(folder_); }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  ListenerConfig listener;

 private:
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << text;
    REQUIRE(::chmod(path.c_str(), 0600) == 0);
    return path;
  }

  std::string folder_;
};

Findings after(const Files& files, hours time) {
  Findings findings;
  check_certificates("grpc_server", files.listener, SystemClock().now().wall + time, findings);
  return findings;
}

bool has(const Findings& findings, Severity severity, const std::string& text) {
  for (const Finding& finding : findings) {
    if (finding.severity == severity && finding.message.find(text) != std::string::npos)
      return true;
  }
  return false;
}

TEST_CASE("a certificate is good, then ends soon, then has ended", "[doctor]") {
  const Files files;

  const Findings now = after(files, hours(1));
  CHECK(has(now, Severity::kGood, "w1.pem"));
  CHECK(has(now, Severity::kGood, "ca.pem"));
  CHECK(exit_code_of(now) == 0);

  const Findings late = after(files, hours(24 * 355));
  CHECK(has(late, Severity::kWarning, "expires in 9 days"));
  CHECK(has(late, Severity::kGood, "ca.pem"));
  CHECK(exit_code_of(late) == 1);

  const Findings too_late = after(files, hours(24 * 366));
  CHECK(has(too_late, Severity::kError, "has expired at"));
  CHECK(exit_code_of(too_late) == 2);
}

TEST_CASE("clocks that are two seconds apart are told", "[doctor]") {
  Findings findings;
  add_skew("s1:50000", milliseconds(1999), findings);
  add_skew("s1:50000", -seconds(3), findings);

  CHECK(has(findings, Severity::kGood, "1999 ms ahead of this one"));
  CHECK(has(findings, Severity::kWarning, "3000 ms behind this one"));
  CHECK_FALSE(findings[1].mend.empty());
}

}  // namespace
}  // namespace clusterd
