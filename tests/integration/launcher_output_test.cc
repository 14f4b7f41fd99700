// Limits of output, full disks and archive commands, with a real launcher.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/proto_time.h"
#include "integration/full_disk.h"
#include "integration/launcher_fixture.h"
#include "worker/output_log.h"

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using v1::JobEnd;

internal::LaunchPlan stopping_plan(LauncherFixture& fixture, const std::string& script) {
  auto plan = fixture.plan("job", script);
  plan.set_max_output_bytes(100'000);
  plan.set_on_output_limit(v1::OutputSpec::STOP);
  return plan;
}

TEST_CASE("a job that stops at its output limit is ended, and its first bytes are kept",
          "[launcher][limit]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch(stopping_plan(fixture, "trap 'exit 5' TERM; while :; do echo abcdefg; done"));

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::OUTPUT_LIMIT);
  CHECK(ended.end().exit_code() == 5);
  CHECK_THAT(ended.end().message(), Catch::StartsWith("it wrote more than 100000 bytes"));
  REQUIRE(ended.end().outputs_size() == 1);
  CHECK(ended.end().outputs(0).total_bytes() == 100'000);
  CHECK(fixture.output("job").size() == 100'000);
}

TEST_CASE("one that had exited when its output met the limit is told the same",
          "[launcher][limit]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch(stopping_plan(fixture, "head -c 100001 /dev/zero"));
  auto fits = stopping_plan(fixture, "head -c 100000 /dev/zero");
  *fits.mutable_key() = LauncherFixture::key("fits");
  fixture.launch(fits);

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::OUTPUT_LIMIT);
  CHECK(fixture.wait_end("fits").end().reason() == JobEnd::EXITED);
  CHECK(fixture.wait_end("fits").end().outputs(0).total_bytes() == 100'000);
}

TEST_CASE("each of two streams has a limit of its own", "[launcher][limit]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = stopping_plan(
      fixture, "head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2; echo more >&2; exit 3");
  plan.set_output_mode(v1::OutputSpec::SEPARATE);
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::EXITED);
  CHECK(ended.end().exit_code() == 3);
  CHECK(fixture.output("job", v1::OutputStream::STDERR).size() == 60'005);
}

TEST_CASE("a limit that was met is known to the next launcher", "[launcher][limit]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch(stopping_plan(
      fixture, "trap '' TERM; head -c 100001 /dev/zero; while [ ! -e go ]; do sleep 0.005; done"));
  fixture.wait_until([&] { return fixture.length_of("job") == 100'000; });
  fixture.kill_launcher();
  std::ofstream(fixture.folder() + "/go") << "1";

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::OUTPUT_LIMIT);
  CHECK_THAT(ended.end().message(), Catch::StartsWith("it wrote more than 100000 bytes"));
}

TEST_CASE("on a full disk a job that stops is ended, and the record says why",
          "[launcher][full disk]") {
  LauncherFixture fixture;
  const FullDisk disk(fixture.data_dir() + "/output");
  if (!disk.is_mounted()) return;
  fixture.connect();
  auto plan = fixture.plan("job", "while :; do echo abcdefg; done");
  plan.set_on_output_limit(v1::OutputSpec::STOP);
  *plan.mutable_full_disk_wait() = to_proto(100ms);
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");
  fixture.launch("after", "exit 7");

  CHECK(ended.end().reason() == JobEnd::OUTPUT_LIMIT);
  CHECK_THAT(ended.end().message(), Catch::StartsWith("its output could not be written") &&
                                        Catch::Contains("No space left on device"));
  CHECK(fixture.wait_end("after").end().exit_code() == 7);
}

TEST_CASE("on a full disk the output of a job is thrown away, and looks released",
          "[launcher][full disk]") {
  LauncherFixture fixture;
  const FullDisk disk(fixture.data_dir() + "/output");
  if (!disk.is_mounted()) return;
  fixture.connect();
  // 2 MiB: more than its pipe takes, so it would wait for ever.
  auto plan = fixture.plan("job",
                           "head -c 2097152 /dev/zero; : > written; while [ ! -e go ]; do sleep "
                           "0.005; done; echo last; exit 3");
  *plan.mutable_full_disk_wait() = to_proto(100ms);
  fixture.launch(plan);

  fixture.wait_until([&] { return fixture.length_of("job") == 2'097'152; });
  disk.make_room();
  std::ofstream(fixture.folder() + "/go") << "1";
  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::EXITED);
  CHECK(ended.end().exit_code() == 3);
  CHECK_THAT(ended.end().message(), Catch::Contains("bytes of output could not be kept") &&
                                        Catch::Contains("No space left on device"));
  REQUIRE(ended.end().outputs_size() == 1);
  CHECK(ended.end().outputs(0).total_bytes() == 2'097'157);
  CHECK(ended.end().outputs(0).first_kept() >= 2'097'152);
}

TEST_CASE("on a disk that fills, a job's oldest output makes room for its newest",
          "[launcher][full disk]") {
  LauncherFixture fixture;
  const FullDisk disk(fixture.data_dir() + "/output");
  if (!disk.is_mounted()) return;
  disk.make_room();  // 4 MiB
  fixture.connect();
  auto plan = fixture.plan("job", "seq 1 2000000; exit 3");
  *plan.mutable_full_disk_wait() = to_proto(60s);
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");

  std::string want;
  for (int i = 1; i <= 2'000'000; ++i) want += std::to_string(i) + "\n";
  REQUIRE(ended.end().outputs_size() == 1);
  const uint64_t first = ended.end().outputs(0).first_kept();
  CHECK(ended.end().outputs(0).total_bytes() == want.size());
  CHECK(ended.end().message() ==
        std::to_string(first) + " bytes of output could not be kept: the disk is full");
  CHECK(first > 0);
  CHECK(want.size() - first > 1 << 20);
  auto reader = OutputReader::open(output_folder(fixture.data_dir(), LauncherFixture::key("job")),
                                   v1::OutputStream::MERGED);
  REQUIRE(reader.ok());
  const auto bytes = reader->read(0, 64 << 20);
  REQUIRE(bytes.ok());
  CHECK(bytes->offset == first);
  const bool is_true = bytes->data == want.substr(first);
  CHECK(is_true);
}

// A plan whose archive command is `script`, run by /bin/sh.
internal::LaunchPlan archived_plan(LauncherFixture& fixture, const std::string& command,
                                   const std::string& script) {
  const std::string path = fixture.folder() + "/archive.sh";
  std::ofstream(path) << "#!/bin/sh\ncd " << fixture.folder() << "\n" << script << "\n";
  REQUIRE(::chmod(path.c_str(), 0755) == 0);
  auto plan = fixture.plan("job", command);
  plan.set_archive_command(path);
  plan.add_archive_environment("PATH=/usr/bin:/bin");
  plan.add_archive_environment("CLUSTERD_JOB_ID=job");
  *plan.mutable_archive_timeout() = to_proto(30s);
  return plan;
}

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_CASE("an archive command gets the logs, and the end is told after it", "[launcher][archive]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = archived_plan(fixture, "echo out; echo err >&2; exit 3",
                            "cat \"$@\" > archived; env | sort > variables; exit 0");
  plan.set_output_mode(v1::OutputSpec::SEPARATE);
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().exit_code() == 3);
  REQUIRE(ended.end().has_archive());
  CHECK(ended.end().archive().exit_code() == 0);
  CHECK(ended.end().archive().message().empty());
  CHECK(content_of(fixture.folder() + "/archived") == "out\nerr\n");
  const std::string variables = content_of(fixture.folder() + "/variables");
  CHECK_THAT(variables, Catch::Contains("CLUSTERD_END_REASON=EXITED\nCLUSTERD_EXIT_CODE=3\n"
                                        "CLUSTERD_JOB_ID=job\n"));
}

TEST_CASE("an archive command that fails says why, and the job's end is its own",
          "[launcher][archive]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch(archived_plan(fixture, "echo out", "echo no room >&2; exit 9"));

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::EXITED);
  CHECK(ended.end().exit_code() == 0);
  CHECK(ended.end().archive().exit_code() == 9);
  CHECK(ended.end().archive().message() == "no room");
}

TEST_CASE("an archive command that does not end is killed, and what it started too",
          "[launcher][archive]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan =
      archived_plan(fixture, "echo out", "(echo $$ > leader; exec sleep 1000) & sleep 1000");
  *plan.mutable_archive_timeout() = to_proto(300ms);
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().exit_code() == 0);
  CHECK(ended.end().archive().signal() == SIGKILL);
  CHECK(ended.end().archive().message() == "killed: it ran longer than 0.3 s");
  const pid_t session = std::stoi(content_of(fixture.folder() + "/leader"));
  // They have been killed; on a busy machine it takes a moment until they have died of it.
  for (int i = 0; i < 1000 && LauncherFixture::living_of_session(session) > 0; ++i) {
    std::this_thread::sleep_for(10ms);
  }
  CHECK(LauncherFixture::living_of_session(session) == 0);
}

TEST_CASE("an archive command is not run where there is nothing for it", "[launcher][archive]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch(archived_plan(fixture, "true", ": > was-run"));

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().archive().message() == "not run: there is no output");
  CHECK_FALSE(ended.end().archive().has_exit_code());
  CHECK_FALSE(std::filesystem::exists(fixture.folder() + "/was-run"));
}

TEST_CASE("one that cannot be started is told", "[launcher][archive]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = archived_plan(fixture, "echo out", "");
  plan.set_archive_command(fixture.folder() + "/nothing");
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");

  CHECK_THAT(ended.end().archive().message(),
             Catch::StartsWith("cannot be started: ") && Catch::Contains("No such file"));
}

TEST_CASE("an archive command is run once over the launcher's death, and its code is exact",
          "[launcher][archive][survival]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch(
      archived_plan(fixture, "echo out; exit 3",
                    "echo run >> runs; while [ ! -e go ]; do sleep 0.005; done; exit 9"));
  const std::string runs = fixture.folder() + "/runs";
  for (int i = 0; i < 3000 && content_of(runs).empty(); ++i) ::usleep(10'000);

  fixture.kill_launcher();
  fixture.kill_launcher();
  std::ofstream(fixture.folder() + "/go") << "1";
  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().exit_code() == 3);
  CHECK(ended.end().archive().exit_code() == 9);
  CHECK(content_of(runs) == "run\n");
}

}  // namespace
}  // namespace clusterd
