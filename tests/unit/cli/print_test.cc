#include "cli/print.h"

#include <catch2/catch.hpp>

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

TEST_CASE("a summary says how a job ended", "[print]") {
  v1::Job job = failed_job();
  CHECK(summary_of(job) == "FAILED: exit code 37");
  job.mutable_end()->set_reason(v1::JobEnd::SIGNALED);
  job.mutable_end()->set_signal(11);
  CHECK(summary_of(job) == "FAILED: signal SEGV");
  job.mutable_end()->set_reason(v1::JobEnd::START_FAILED);
  job.mutable_end()->set_message("exec format error");
  CHECK(summary_of(job) == "FAILED: START_FAILED, exec format error");
  job.set_state(v1::Job::SUCCEEDED);
  CHECK(summary_of(job) == "SUCCEEDED");
  job.set_state(v1::Job::QUEUED);
  job.set_pending_reason("no free slot");
  CHECK(summary_of(job) == "QUEUED: no free slot");
}

TEST_CASE("a table has a head and one line for each job", "[print]") {
  const std::string table = describe_jobs({failed_job(), failed_job()}, {});

  CHECK(table.starts_with("JOB_ID  STATE"));
  CHECK(std::count(table.begin(), table.end(), '\n') == 3);
  CHECK(table.find("bash count.sh 5\n") != std::string::npos);
}

TEST_CASE("workers are shown by name, and by id where that is not known", "[print]") {
  v1::Job named = failed_job();
  named.set_worker_id("id-1");
  v1::Job gone = failed_job();
  gone.set_worker_id("id-2");
  v1::Job nowhere = failed_job();
  const WorkerNames names = {{"id-1", "blue"}, {"id-3", "red"}};

  const std::string table = describe_jobs({named, gone, nowhere}, names);

  CHECK(table.find("FAILED  blue    -") != std::string::npos);
  CHECK(table.find("FAILED  id-2    -") != std::string::npos);
  CHECK(table.find("FAILED  -       -") != std::string::npos);
  CHECK(table.find("id-1") == std::string::npos);
  CHECK(describe_job(named, names).find("blue (id-1)\n") != std::string::npos);
  CHECK(describe_job(gone, names).find("worker     id-2\n") != std::string::npos);
}

TEST_CASE("what others named cannot steer the terminal", "[print]") {
  v1::Job job = failed_job();
  job.mutable_spec()->set_name("\x1b[2J\n");

  CHECK(describe_job(job, {}).find('\x1b') == std::string::npos);
  CHECK(describe_job(job, {}).find("?[2J?\n") != std::string::npos);
}

}  // namespace
}  // namespace clusterd
