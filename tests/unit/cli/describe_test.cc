#include "cli/describe.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "core/proto_time.h"

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

// No terminal, at a time of no meaning.
View plain_view() { return {.terminal = {}, .now = WallTime(std::chrono::hours(24)), .names = {}}; }

TEST_CASE("a handler's job is shown with how far it is", "[describe]") {
  v1::Job job;
  job.set_job_id("j1");
  job.set_state(v1::Job::RUNNING);
  job.mutable_spec()->set_handler("thumbnail");
  job.mutable_spec()->add_args("a.png");
  job.mutable_progress()->set_done(12);
  job.mutable_progress()->set_total(100);
  job.mutable_progress()->set_message("resizing");

  CHECK_THAT(describe_job(job, plain_view()), Catch::Contains("12 of 100: resizing"));
  CHECK_THAT(describe_job(job, plain_view()), Catch::Contains("handler thumbnail a.png"));
  CHECK_THAT(describe_jobs({job}, plain_view()), Catch::Contains("RUNNING 12/100"));
  job.mutable_progress()->clear_total();
  CHECK(progress_of(job.progress()) == "12: resizing");
}

TEST_CASE("queues are shown with what runs and waits against their caps", "[describe]") {
  v1::ListQueuesResponse queues;
  v1::Queue& queue = *queues.add_queues();
  queue.set_name("batch");
  queue.set_max_running(4);
  queue.set_running(2);
  queue.set_running_slots(6);
  queue.set_queued(9);
  queue.set_weight(3);
  queue.set_paused(true);
  queue.set_reason("disk full");

  const std::string table = describe_queues(queues, plain_view());
  CHECK_THAT(table, Catch::Contains("NAME   RUNNING  SLOTS  QUEUED  WEIGHT  STATE"));
  CHECK_THAT(table, Catch::Contains("batch  2/4      6      9       3       paused: disk full"));
}

TEST_CASE("workers are shown with their resources and taints where they have any", "[describe]") {
  v1::ListWorkersResponse workers;
  v1::Worker& worker = *workers.add_workers();
  worker.set_name("w");
  CHECK(describe_workers(workers, plain_view()).find("TAINTS") == std::string::npos);
  CHECK(describe_workers(workers, plain_view()).find("RESOURCES") == std::string::npos);

  (*worker.mutable_capacity()->mutable_custom())["gpu"] = 2;
  (*worker.mutable_in_use()->mutable_custom())["gpu"] = 1;
  worker.add_taints("team=ml");
  CHECK_THAT(describe_workers(workers, plain_view()), Catch::Contains("gpu 1/2"));
  CHECK_THAT(describe_workers(workers, plain_view()), Catch::Contains("team=ml"));
}

TEST_CASE("a summary says how a job ended", "[describe]") {
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

TEST_CASE("a table has a head and one line for each job", "[describe]") {
  const std::string table = describe_jobs({failed_job(), failed_job()}, plain_view());

  CHECK(table.starts_with("JOB_ID  STATE"));
  CHECK(std::count(table.begin(), table.end(), '\n') == 3);
  CHECK(table.find("bash count.sh 5\n") != std::string::npos);
}

TEST_CASE("workers are shown by name, and by id where that is not known", "[describe]") {
  v1::Job named = failed_job();
  named.set_worker_id("id-1");
  v1::Job gone = failed_job();
  gone.set_worker_id("id-2");
  v1::Job nowhere = failed_job();
  View view = plain_view();
  view.names = {{"id-1", "blue"}, {"id-3", "red"}};

  const std::string table = describe_jobs({named, gone, nowhere}, view);

  CHECK(table.find("FAILED  blue    -") != std::string::npos);
  CHECK(table.find("FAILED  id-2    -") != std::string::npos);
  CHECK(table.find("FAILED  -       -") != std::string::npos);
  CHECK(table.find("id-1") == std::string::npos);
  CHECK(describe_job(named, view).find("blue (id-1)\n") != std::string::npos);
  CHECK(describe_job(gone, view).find("worker   id-2\n") != std::string::npos);
}

TEST_CASE("what others named cannot steer the terminal", "[describe]") {
  v1::Job job = failed_job();
  job.mutable_spec()->set_name("\x1b[2J\n");

  CHECK(describe_job(job, plain_view()).find('\x1b') == std::string::npos);
  CHECK(describe_job(job, plain_view()).find("?[2J?\n") != std::string::npos);
}

TEST_CASE("a job is shown with its limits and what it used", "[describe]") {
  v1::Job job = failed_job();
  v1::Limits& limits = *job.mutable_spec()->mutable_limits();
  limits.set_memory_bytes(64ULL << 20);
  limits.set_cpus(1.5);
  limits.set_pids(32);
  limits.set_open_files(100);
  limits.set_core_bytes(0);
  limits.set_nice(-3);
  v1::JobEnd& end = *job.mutable_end();
  end.mutable_user_time()->set_nanos(250'000'000);
  end.mutable_system_time()->set_seconds(2);
  end.set_peak_memory_bytes(3ULL << 19);

  const std::string text = describe_job(job, plain_view());

  CHECK_THAT(text,
             Catch::Contains("memory 64MiB, cpus 1.5, pids 32, open files 100, core 0, nice -3\n"));
  CHECK_THAT(text, Catch::Contains("0.25 s user, 2.00 s system, 1.5 MiB memory at most\n"));
  CHECK_THAT(describe_job(v1::Job(), plain_view()),
             !Catch::Contains("limits") && !Catch::Contains("used"));
}

TEST_CASE("what was lost of the output and what the archive command did is shown", "[describe]") {
  v1::Job job = failed_job();
  CHECK(describe_job(job, plain_view()).find("archive") == std::string::npos);
  job.mutable_end()->set_message("9 bytes of output could not be kept");
  job.mutable_end()->mutable_archive()->set_exit_code(3);
  job.mutable_end()->mutable_archive()->set_message("no room");

  const std::string shown = describe_job(job, plain_view());

  CHECK(shown.find("9 bytes of output could not be kept\n") != std::string::npos);
  CHECK(shown.find("exit code 3: no room\n") != std::string::npos);
}

TEST_CASE("times are ago on a terminal, exact elsewhere", "[describe]") {
  v1::Job job = failed_job();
  View view = plain_view();
  *job.mutable_submit_time() = to_proto(view.now - std::chrono::seconds(90));

  CHECK(describe_jobs({job}, view).find("1970-01-01T23:58:30Z") != std::string::npos);
  view.terminal.columns = 200;
  CHECK(describe_jobs({job}, view).find("1m ago") != std::string::npos);
  CHECK(describe_job(job, view).find("1970-01-01T23:58:30Z (1m ago)") != std::string::npos);
}

TEST_CASE("a time in short has its two largest units", "[describe]") {
  using namespace std::chrono_literals;
  CHECK(in_short(0s) == "0s");
  CHECK(in_short(59s + 999ms) == "59s");
  CHECK(in_short(61s) == "1m");
  CHECK(in_short(2h) == "2h");
  CHECK(in_short(2h + 5min) == "2h 5m");
  CHECK(in_short(24h * 12 + 3h) == "12d 3h");
}

}  // namespace
}  // namespace clusterd
