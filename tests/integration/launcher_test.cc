// The launcher as a process of its own, with real /bin/sh.
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <numeric>
#include <sstream>

#include "core/proto_time.h"
#include "integration/launcher_fixture.h"

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using v1::JobEnd;

TEST_CASE("a job's output, exit code and lengths are reported", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "echo one; echo two >&2; echo three; exit 7");

  const auto ended = fixture.wait_end("job");

  CHECK(ended.started());
  CHECK(ended.end().reason() == JobEnd::EXITED);
  CHECK(ended.end().exit_code() == 7);
  CHECK(ended.end().max_rss_bytes() > 0);
  CHECK(ended.end().output_tail() == "one\ntwo\nthree\n");
  REQUIRE(ended.end().outputs_size() == 1);
  CHECK(ended.end().outputs(0).total_bytes() == 14);
  CHECK(fixture.output("job") == "one\ntwo\nthree\n");
}

// What the kernel does with it by default is nothing, or to suspend or resume.
bool is_survived(int signal) {
  switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGURG:
    case SIGWINCH:
      return true;
    default:
      return false;
  }
}

TEST_CASE("exit codes and signals are exact", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  std::vector<int> codes(256);
  std::iota(codes.begin(), codes.end(), 0);
  std::vector<int> signals;
  for (int number = 1; number <= 31; ++number) {
    if (!is_survived(number)) signals.push_back(number);
  }
  for (const int code : codes) {
    fixture.launch("code" + std::to_string(code), "exit " + std::to_string(code));
  }
  for (const int number : signals) {
    fixture.launch("signal" + std::to_string(number), "kill -" + std::to_string(number) + " $$");
  }

  for (const int code : codes) {
    const auto ended = fixture.wait_end("code" + std::to_string(code));
    CHECK(ended.end().reason() == JobEnd::EXITED);
    CHECK(ended.end().exit_code() == code);
    CHECK_FALSE(ended.end().has_signal());
  }
  for (const int number : signals) {
    const auto ended = fixture.wait_end("signal" + std::to_string(number));
    CHECK(ended.end().reason() == JobEnd::SIGNALED);
    CHECK(ended.end().signal() == number);
    CHECK_FALSE(ended.end().has_exit_code());
  }
}

// A folder whose files cannot be executed, as long as it lives; empty without the right to mount.
class NoexecFolder {
 public:
  explicit NoexecFolder(std::string path) : path_(std::move(path)) {
    (void)::mkdir(path_.c_str(), 0700);
    is_there_ = ::mount("tmpfs", path_.c_str(), "tmpfs", MS_NOEXEC, "size=64k") == 0;
  }
  ~NoexecFolder() {
    if (is_there_) (void)::umount2(path_.c_str(), MNT_DETACH);
  }
  NoexecFolder(const NoexecFolder&) = delete;
  NoexecFolder& operator=(const NoexecFolder&) = delete;

  [[nodiscard]] bool is_there() const { return is_there_; }

 private:
  std::string path_;
  bool is_there_ = false;
};

TEST_CASE("each failure to start has a message of its own", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  const NoexecFolder noexec(fixture.folder() + "/noexec");
  const auto write_file = [&](const std::string& name, const std::string& text, mode_t mode) {
    const std::string path = fixture.folder() + "/" + name;
    std::ofstream(path) << text;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return path;
  };
  const std::string plain = write_file("plain", "#!/bin/sh\n", 0600);
  const std::string garbage = write_file("garbage", "\x01\x02\x03 no program", 0700);
  std::vector<std::pair<std::string, std::string>> cases = {
      {fixture.folder() + "/nothing", "/nothing: no such file"},
      {plain, "permission denied: the file may not be executed"},
      {garbage, "neither a program of this machine nor a script with a #! line"},
      {write_file("empty", "", 0700), "the file is empty"},
      {write_file("orphan", "#!/no/such/interpreter -x\n", 0700),
       "its interpreter /no/such/interpreter does not exist"},
      {write_file("dos", "#!/bin/sh\r\n", 0700), "does not exist (the line ends with a carriage"},
      {write_file("of-garbage", "#!" + garbage + "\n", 0700),
       "its interpreter " + garbage + " is no program of this machine"},
      {write_file("of-plain", "#!" + plain + "\n", 0700),
       "its interpreter " + plain + " cannot be executed: the file may not be executed"},
      {write_file("of-folder", "#!" + fixture.folder() + "\n", 0700),
       "its interpreter " + fixture.folder() + " cannot be executed: it is a folder"},
      {fixture.folder(), "it is a folder"},
  };
  if (noexec.is_there()) {
    cases.emplace_back(write_file("noexec/script", "#!/bin/sh\n", 0700),
                       "its file system is mounted noexec");
  }
  const std::string busy = write_file("busy", "#!/bin/sh\n", 0700);
  const std::ofstream writer(busy, std::ios::app);
  cases.emplace_back(busy, "somebody has the file open for writing");
  for (size_t i = 0; i < cases.size(); ++i) {
    auto plan = fixture.plan("job" + std::to_string(i), "");
    plan.set_executable(cases[i].first);
    fixture.launch(plan);
  }
  auto lost = fixture.plan("cwd", "true");
  lost.set_working_folder("/no/such/folder");
  fixture.launch(lost);
  auto long_one = fixture.plan("long", "true");
  long_one.add_argv(std::string(200'000, 'x'));  // a single one is bounded by 128 KiB
  fixture.launch(long_one);

  for (size_t i = 0; i < cases.size(); ++i) {
    const auto ended = fixture.wait_end("job" + std::to_string(i));
    CHECK(ended.end().reason() == JobEnd::START_FAILED);
    CHECK_FALSE(ended.started());
    CHECK_FALSE(ended.end().has_exit_code());
    CHECK_THAT(ended.end().message(), Catch::Contains(cases[i].second));
  }
  CHECK_THAT(fixture.wait_end("cwd").end().message(),
             Catch::Contains("working folder /no/such/folder: No such file or directory"));
  CHECK_THAT(fixture.wait_end("long").end().message(), Catch::Contains("are too long"));
}

TEST_CASE("writing to /dev/stdout and /dev/stderr anew loses nothing", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job",
                 "echo a; echo b > /dev/stderr; echo c | tee /dev/stdout; : > /dev/stdout; echo d");

  CHECK(fixture.wait_end("job").end().exit_code() == 0);

  CHECK(fixture.output("job") == "a\nb\nc\nc\nd\n");
}

TEST_CASE("a job has its three standard descriptors and no other", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  // The listing's own descriptor is the fourth.
  fixture.launch("job", "exec ls /proc/self/fd");

  CHECK(fixture.wait_end("job").end().exit_code() == 0);

  CHECK(fixture.output("job") == "0\n1\n2\n3\n");
}

TEST_CASE("standard input, environment and streams are as planned", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = fixture.plan("job", "cat; echo \"$NAME\" >&2; pwd");
  plan.set_stdin("given\n");
  plan.add_environment("NAME=value");
  plan.set_output_mode(v1::OutputSpec::SEPARATE);
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().exit_code() == 0);
  CHECK(fixture.output("job", v1::OutputStream::STDOUT) == "given\n" + fixture.folder() + "\n");
  CHECK(fixture.output("job", v1::OutputStream::STDERR) == "value\n");
  CHECK(ended.end().outputs_size() == 2);
}

TEST_CASE("a stop ends the whole tree, and leaves no process", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; wait");
  fixture.wait_output("job", "\n");
  fixture.wait_until([&] {
    const std::string text = fixture.output("job");
    return std::count(text.begin(), text.end(), '\n') == 2;
  });

  fixture.stop("job");
  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::STOP_REQUESTED);
  std::istringstream pids(fixture.output("job"));
  for (pid_t pid = 0; pids >> pid;) CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("who ignores the stop signal is killed after the grace", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = fixture.plan("job", "trap '' TERM; echo ready; while :; do sleep 1000; done");
  *plan.mutable_stop_grace() = to_proto(200ms);
  fixture.launch(plan);
  fixture.wait_output("job", "ready");

  fixture.stop("job");
  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::STOP_REQUESTED);
  CHECK(ended.end().signal() == SIGKILL);
  CHECK_THAT(ended.end().message(), Catch::Contains("killed"));
}

TEST_CASE("what a job leaves behind is ended with it", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "sleep 1000 > /dev/null 2>&1 & echo $!; exit 3");

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::EXITED);
  CHECK(ended.end().exit_code() == 3);
  CHECK(::kill(std::stoi(fixture.output("job")), 0) != 0);
}

TEST_CASE("a stop that comes first prevents the start", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.stop("job");
  CHECK(fixture.wait_end("job").end().reason() == JobEnd::CANCELLED_BEFORE_START);

  fixture.launch("job", "echo no");
  fixture.kill_launcher();

  const auto ended = fixture.wait_end("job");
  CHECK(ended.end().reason() == JobEnd::CANCELLED_BEFORE_START);
  CHECK_FALSE(ended.started());
  CHECK(fixture.output("job").empty());
}

TEST_CASE("a timeout ends a job, and stands still while it is suspended", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = fixture.plan("job", "echo $$; exec sleep 1000");
  *plan.mutable_timeout() = to_proto(300ms);
  fixture.launch(plan);
  fixture.launch("probe", "sleep 0.8");
  fixture.wait_start("job");
  fixture.signal("job", SIGSTOP);
  fixture.wait_until([&] { return fixture.is_suspended("job"); });
  fixture.wait_end("probe");
  CHECK_FALSE(fixture.has_ended("job"));

  fixture.signal("job", SIGCONT);

  CHECK(fixture.wait_end("job").end().reason() == JobEnd::RUN_TIMED_OUT);
}

TEST_CASE("a fenced attempt is killed and not reported", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "trap '' TERM; sleep 1000 & wait");
  const pid_t pid = fixture.wait_start("job").pid();
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));

  fixture.fence("job");
  pollfd ended_now{pidfd, POLLIN, 0};
  REQUIRE(::poll(&ended_now, 1, 30'000) == 1);
  fixture.launch("after", "true");
  fixture.wait_end("after");
  fixture.disconnect();
  fixture.connect();

  CHECK_FALSE(fixture.has_ended("job"));
  CHECK(fixture.hello().attempts_size() == 1);
  ::close(pidfd);
}

TEST_CASE("a job without contact to the scheduler fences itself", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = fixture.plan("job", "sleep 1000");
  *plan.mutable_fence_after() = to_proto(300ms);
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::WORKER_LOST);
  CHECK_THAT(ended.end().message(), Catch::Contains("no contact"));
}

TEST_CASE("an order that comes when its fence is due starts nothing", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = fixture.plan("job", "echo ran");
  *plan.mutable_fence_after() = to_proto(1ms);
  std::this_thread::sleep_for(5ms);  // the last contact was the launcher's start
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::WORKER_LOST);
  CHECK_THAT(ended.end().message(), Catch::Contains("not started"));
  CHECK_FALSE(ended.started());
}

TEST_CASE("orders are idempotent, and an end stays until it is forgotten", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "echo once");
  fixture.launch("job", "echo once");
  fixture.wait_end("job");
  fixture.launch("job", "echo twice");
  fixture.disconnect();
  fixture.connect();
  CHECK(fixture.hello().attempts_size() == 1);
  CHECK(fixture.output("job") == "once\n");

  fixture.forget("job");
  fixture.launch("marker", "true");
  fixture.wait_end("marker");
  fixture.kill_launcher();

  CHECK(fixture.hello().attempts_size() == 1);
  CHECK(fixture.hello().attempts(0).key().job_id() == "marker");
}

TEST_CASE("bounded output keeps the last bytes at their offsets", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = fixture.plan("job", "seq -f '%015.0f' 1 1000000");
  plan.set_max_output_bytes(1 << 20);
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");

  REQUIRE(ended.end().outputs_size() == 1);
  const v1::OutputStream& output = ended.end().outputs(0);
  CHECK(output.total_bytes() == 16'000'000);
  CHECK(output.first_kept() <= 15'000'000);
  CHECK(output.first_kept() > 13'000'000);
  struct stat info {};
  REQUIRE(::stat((fixture.data_dir() + "/output/job/1/merged.log").c_str(), &info) == 0);
  CHECK(info.st_blocks * 512 < 4 << 20);
}

}  // namespace
}  // namespace clusterd
