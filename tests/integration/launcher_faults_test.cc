// The launcher on a full disk, after a restart of the machine, with a journal it cannot read.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "core/proto_time.h"
#include "integration/full_disk.h"
#include "integration/launcher_fixture.h"
#include "worker/launcher/journal.h"
#include "worker/output_files.h"
#include "worker/output_log.h"

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using v1::JobEnd;

constexpr const char* kOtherBoot = "11111111-2222-3333-4444-555555555555";

std::string numbers(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i) text += std::to_string(i) + "\n";
  return text;
}

// Runs a job to the end of its process while its output is in the pipe and cannot leave it.
void run_into_full_disk(LauncherFixture& fixture) {
  auto plan = fixture.plan("job", "while [ ! -e go ]; do sleep 0.005; done; seq 1 30000; exit 3");
  *plan.mutable_full_disk_wait() = to_proto(60s);
  fixture.launch(plan);
  const pid_t pid = fixture.wait_start("job").pid();
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  REQUIRE(pidfd.valid());
  std::ofstream(fixture.folder() + "/go") << "1";
  pollfd ended_now{pidfd.get(), POLLIN, 0};
  REQUIRE(::poll(&ended_now, 1, 30'000) == 1);
  fixture.launch("after", "true");
  fixture.wait_end("after");
  CHECK_FALSE(fixture.has_ended("job"));
}

void check_all_is_there(LauncherFixture& fixture) {
  const internal::LaunchedAttempt ended = fixture.wait_end("job");
  CHECK(ended.end().exit_code() == 3);
  CHECK(ended.end().message().empty());
  REQUIRE(ended.end().outputs_size() == 1);
  CHECK(ended.end().outputs(0).total_bytes() == numbers(30'000).size());
  const bool is_whole = fixture.output("job") == numbers(30'000);
  CHECK(is_whole);
}

TEST_CASE("a job that ends on a full disk keeps all that it has printed", "[launcher][faults]") {
  LauncherFixture fixture;
  const FullDisk disk(fixture.data_dir() + "/output");
  if (!disk.is_mounted()) return;
  fixture.connect();
  run_into_full_disk(fixture);

  disk.make_room();

  check_all_is_there(fixture);
}

TEST_CASE("so it does when the launcher is killed meanwhile", "[launcher][faults]") {
  LauncherFixture fixture;
  const FullDisk disk(fixture.data_dir() + "/output");
  if (!disk.is_mounted()) return;
  fixture.connect();
  run_into_full_disk(fixture);

  fixture.kill_launcher();
  disk.make_room();

  check_all_is_there(fixture);
}

// What a launcher leaves behind that started "job" before the machine restarted.
void write_journal_of_other_boot(const LauncherFixture& fixture) {
  const std::string folder = fixture.data_dir() + "/launcher";
  REQUIRE(::mkdir(folder.c_str(), 0700) == 0);
  JournalContent content;
  absl::StatusOr<Journal> journal = Journal::open(folder, kOtherBoot, &content);
  REQUIRE(journal.ok());
  internal::JournalIntent intent;
  intent.set_handle(1);
  *intent.mutable_key() = LauncherFixture::key("job");
  intent.set_runtime_dir(fixture.runtime_dir());
  intent.set_output_mode(v1::OutputSpec::SEPARATE);
  REQUIRE(journal->append(JournalType::kIntent, intent.SerializeAsString()).ok());
  JournalSpawned spawned;
  spawned.handle = 1;
  spawned.pid = ::getpid();
  std::copy_n(kOtherBoot, kUuidChars, spawned.boot_id.begin());
  REQUIRE(journal
              ->append(JournalType::kSpawned,
                       {reinterpret_cast<const char*>(&spawned), sizeof(spawned)})
              .ok());
  const uint64_t contact =
      static_cast<uint64_t>((SystemClock().now().boot + 1h).time_since_epoch().count());
  REQUIRE(journal
              ->append(JournalType::kContact,
                       {reinterpret_cast<const char*>(&contact), sizeof(contact)})
              .ok());
}

TEST_CASE("a job that a restart of the machine ended keeps its output", "[launcher][faults]") {
  LauncherFixture fixture;
  write_journal_of_other_boot(fixture);
  const std::string folder = output_folder(fixture.data_dir(), LauncherFixture::key("job"));
  std::filesystem::create_directories(folder);
  std::ofstream(log_path(folder, v1::OutputStream::STDERR)) << "before the restart\n";

  fixture.connect();
  const internal::LaunchedAttempt ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::WORKER_LOST);
  CHECK_THAT(ended.end().message(),
             Catch::Contains("output that had not reached the disk is gone"));
  REQUIRE(ended.end().outputs_size() == 2);
  CHECK(ended.end().outputs(0).stream() == v1::OutputStream::STDOUT);
  CHECK(ended.end().outputs(0).total_bytes() == 0);
  CHECK(ended.end().outputs(1).stream() == v1::OutputStream::STDERR);
  CHECK(ended.end().outputs(1).total_bytes() == 19);
}

TEST_CASE("a contact from before a restart of the machine does not hold the fence back",
          "[launcher][faults]") {
  LauncherFixture fixture;
  write_journal_of_other_boot(fixture);
  fixture.connect();
  auto plan = fixture.plan("later", "sleep 1000");
  *plan.mutable_fence_after() = to_proto(300ms);
  fixture.launch(plan);

  const internal::LaunchedAttempt ended = fixture.wait_end("later");

  CHECK(ended.end().reason() == JobEnd::WORKER_LOST);
}

TEST_CASE("a job whose pipe is gone when a launcher takes it up keeps what its log has",
          "[launcher][faults]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "echo a; while [ ! -e go ]; do sleep 0.005; done; exit 4");
  fixture.wait_output("job", "a\n");
  for (const auto& entry : std::filesystem::directory_iterator(fixture.runtime_dir() + "/fifo")) {
    std::filesystem::remove(entry);
  }

  fixture.kill_launcher();
  std::ofstream(fixture.folder() + "/go") << "1";
  const internal::LaunchedAttempt ended = fixture.wait_end("job");

  CHECK(ended.end().exit_code() == 4);
  REQUIRE(ended.end().outputs_size() == 1);
  CHECK(ended.end().outputs(0).total_bytes() == 2);
}

// How many descriptors of this process are of a FIFO of `fixture` or of a process.
size_t count_job_descriptors(const LauncherFixture& fixture) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry, gone).string();
    const bool is_fifo = target.starts_with(fixture.runtime_dir() + "/fifo/");
    if (is_fifo || target.find("pidfd") != std::string::npos) ++count;
  }
  return count;
}

TEST_CASE("nothing is left open of a fenced attempt", "[launcher][faults]") {
  LauncherFixture fixture;
  fixture.connect();
  const size_t before = count_job_descriptors(fixture);
  fixture.launch("job", "sleep 1000");
  fixture.wait_start("job");
  CHECK(count_job_descriptors(fixture) == before + 1);  // a parent needs no pidfd

  fixture.fence("job");

  fixture.wait_until([&] { return count_job_descriptors(fixture) == before; });
}

TEST_CASE("a launcher that cannot start is tried again ever less often", "[launcher][faults]") {
  LauncherFixture fixture;
  const std::string folder = fixture.data_dir() + "/launcher";
  std::filesystem::create_directories(folder + "/journal");  // a folder, which cannot be read
  const std::string log = folder + "/launcher.log";
  REQUIRE(::mkfifo(log.c_str(), 0600) == 0);
  const UniqueFd lines(::open(log.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(lines.valid());
  LauncherObserver observer;
  observer.on_connected = [](internal::LauncherHello) {};
  observer.on_message = [](internal::FromLauncher) {};
  observer.on_disconnected = [](absl::Status) {};
  const SystemClock clock;
  LauncherConnection connection({CLUSTERD_TEST_LAUNCHER, fixture.data_dir(), fixture.runtime_dir()},
                                clock, std::move(observer));
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(connection.start().ok());

  std::string text;
  while (std::count(text.begin(), text.end(), '\n') < 6) {
    pollfd readable{lines.get(), POLLIN, 0};
    REQUIRE(::poll(&readable, 1, 30'000) == 1);
    std::array<char, 4096> bytes{};
    const ssize_t size = ::read(lines.get(), bytes.data(), bytes.size());
    REQUIRE(size > 0);
    text.append(bytes.data(), static_cast<size_t>(size));
  }

  // 20 + 40 + 80 + 160 + 320 ms between six starts.
  CHECK(std::chrono::steady_clock::now() - start >= 620ms);
}

}  // namespace
}  // namespace clusterd
