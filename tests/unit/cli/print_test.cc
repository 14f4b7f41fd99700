#include "cli/print.h"

#include <catch2/catch.hpp>

#include "clusterd/v1/job.pb.h"

namespace clusterd {
namespace {

v1::Job failed_job() {
  v1::Job job;
  job.set_job_id("j1");
  job.set_state(v1::Job::FAILED);
  job.mutable_spec()->set_path("count.sh");
  job.mutable_spec()->set_command("bash");
  job.mutable_spec()->add_args("5");
  job.mutable_end()->set_reason(v1::JobEnd::EXITED);
  job.mutable_end()->set_exit_code(37);
  return job;
}

TEST_CASE("JSON has the protos' names, empty fields too, and no absent exit code", "[print]") {
  const auto ended = to_json(failed_job());
  v1::Job running;
  running.set_job_id("j2");
  running.mutable_end();
  const auto other = to_json(running);

  REQUIRE(ended.ok());
  CHECK(ended->find("\"job_id\":\"j1\"") != std::string::npos);
  CHECK(ended->find("\"state\":\"FAILED\"") != std::string::npos);
  CHECK(ended->find("\"exit_code\":37") != std::string::npos);
  CHECK(ended->find("\"pending_reason\":\"\"") != std::string::npos);
  CHECK(ended->find('\n') == std::string::npos);
  REQUIRE(other.ok());
  CHECK(other->find("exit_code") == std::string::npos);
}

}  // namespace
}  // namespace clusterd
