#include "rpc/audit_trail.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "support/scratch_folder.h"

using namespace clusterd;
using clusterd::testing::ScratchFolder;

namespace {

constexpr std::string_view kStop = "/clusterd.v1.SchedulerService/StopJob";
const Identity kAlice{.role = Role::kOperator, .name = "alice", .credential = "token:x"};
const AuditOrigin kOrigin{.client = "192.0.2.7", .peer = "10.0.0.1", .door = "http"};

// A trail in a file of its own.
class Fixture {
 public:
  Fixture() { start({.file = folder / "audit"}); }

  void start(const SchedulerConfig::Audit& config) {
    auto log = AuditLog::open(config);
    REQUIRE(log.ok());
    trail.emplace(clock, *std::move(log));
  }
  absl::StatusOr<AuditedCall> begin(
      const AuditSubject& subject,
      AuditTrail::OnFailure on_failure = AuditTrail::OnFailure::kRefuse) {
    return trail->begin(kOrigin, kAlice, kStop, subject, on_failure);
  }
  // What has been written by now; the rest too once the trail has ended.
  std::vector<boost::json::object> lines() const {
    std::ifstream file(folder / "audit");
    std::vector<boost::json::object> lines;
    for (std::string line; std::getline(file, line);) {
      lines.push_back(boost::json::parse(line).as_object());
    }
    return lines;
  }

  const ScratchFolder folder;
  const SystemClock clock;
  std::optional<AuditTrail> trail;
};

}  // namespace

TEST_CASE("who, what and from where are written before the act, the outcome after it", "[audit]") {
  Fixture fixture;

  auto call = fixture.begin({.job_id = "j1", .request_id = "r\"1\n"});
  REQUIRE(call.ok());
  const auto before = fixture.lines();
  call->end(absl::NotFoundError("job not found"));
  call->end(absl::OkStatus());  // only the first counts
  fixture.trail.reset();
  const auto after = fixture.lines();

  REQUIRE(before.size() == 1);
  REQUIRE(after.size() == 2);
  CHECK(before[0] == after[0]);
  const auto& begin = after[0];
  CHECK(begin.at("event") == "begin");
  CHECK(begin.at("who") == "client/operator/alice");
  CHECK(begin.at("role") == "operator");
  CHECK(begin.at("auth") == "token");
  CHECK(begin.at("method") == "clusterd.v1.SchedulerService/StopJob");
  CHECK(begin.at("job_id") == "j1");
  CHECK(begin.at("request_id") == "r\"1\n");
  CHECK(begin.at("client") == "192.0.2.7");
  CHECK(begin.at("peer") == "10.0.0.1");
  CHECK(begin.at("door") == "http");
  CHECK(std::string(begin.at("time").as_string()).size() == 24);
  CHECK(after[1].at("event") == "end");
  CHECK(after[1].at("call") == begin.at("call"));
  CHECK(after[1].at("outcome") == "NOT_FOUND");
}

TEST_CASE("a call that never ends is told as one of unknown outcome", "[audit]") {
  Fixture fixture;
  {
    auto call = fixture.begin({.job_id = "j1"});
    REQUIRE(call.ok());
    const AuditedCall moved = *std::move(call);
  }
  fixture.trail.reset();

  REQUIRE(fixture.lines().size() == 2);
  CHECK(fixture.lines()[1].at("outcome") == "UNKNOWN");
}

TEST_CASE("what has been made is told, and long fields are cut", "[audit]") {
  Fixture fixture;
  fixture.begin({.script = std::string(1000, 'x')})->end(absl::OkStatus(), {.job_id = "j2"});
  fixture.trail.reset();

  CHECK(fixture.lines()[0].at("script").as_string().size() == 256);
  CHECK(fixture.lines()[1].at("job_id") == "j2");
  CHECK(fixture.lines()[1].at("outcome") == "OK");
}

TEST_CASE("where the audit cannot be written, orders are refused and members are not", "[audit]") {
  Fixture fixture;
  std::filesystem::remove(fixture.folder / "audit");
  std::filesystem::create_directory(fixture.folder / "audit");

  const auto order = fixture.begin({.job_id = "j1"});
  const auto member = fixture.begin({}, AuditTrail::OnFailure::kContinue);
  std::filesystem::remove(fixture.folder / "audit");
  const auto again = fixture.begin({.job_id = "j1"});

  CHECK(absl::IsUnavailable(order.status()));
  CHECK_THAT(std::string(order.status().message()),
             Catch::Contains("audit log cannot be written") && Catch::Contains("audit.file"));
  CHECK(member.ok());
  CHECK(again.ok());
}

TEST_CASE("without a file nothing is written and nothing refused", "[audit]") {
  const SystemClock clock;
  AuditTrail trail(clock, nullptr);

  auto call = trail.begin(kOrigin, kAlice, kStop, {}, AuditTrail::OnFailure::kRefuse);

  REQUIRE(call.ok());
  CHECK(call->caller() == kAlice);
  call->end(absl::OkStatus());
}
