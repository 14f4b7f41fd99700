#include "core/audit_log.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "support/scratch_folder.h"

using namespace clusterd;
using clusterd::testing::ScratchFolder;
namespace fs = std::filesystem;

namespace {

std::string content_of(const std::string& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

std::unique_ptr<AuditLog> open_log(const SchedulerConfig::Audit& config) {
  auto log = AuditLog::open(config);
  INFO(log.status());
  REQUIRE(log.ok());
  return *std::move(log);
}

}  // namespace

TEST_CASE("lines are added to a file that only its owner can read", "[audit]") {
  const ScratchFolder folder;
  const std::string path = folder / "audit";
  std::ofstream(path) << "old\n";
  REQUIRE(chmod(path.c_str(), 0644) == 0);

  const auto log = open_log({.file = path});
  CHECK(log->append("one").ok());
  CHECK(log->append("two").ok());

  CHECK(content_of(path) == "old\none\ntwo\n");
  CHECK(mode_of(path) == 0600);
}

TEST_CASE("a full file makes way for a new one, and the oldest goes", "[audit]") {
  const ScratchFolder folder;
  const std::string path = folder / "audit";
  const auto log = open_log({.file = path, .max_size_bytes = 8, .max_files = 3});

  for (const char* line : {"aaa", "bbb", "ccc", "ddd", "eee", "fff", "ggg", "longer than a file"}) {
    CHECK(log->append(line).ok());
  }

  CHECK(content_of(path) == "longer than a file\n");
  CHECK(content_of(path + ".1") == "ggg\n");
  CHECK(content_of(path + ".2") == "eee\nfff\n");
  CHECK_FALSE(fs::exists(path + ".3"));
  CHECK(mode_of(path) == 0600);
  CHECK(mode_of(path + ".1") == 0600);
}

TEST_CASE("without older files a full one is begun anew", "[audit]") {
  const ScratchFolder folder;
  const std::string path = folder / "audit";
  const auto log = open_log({.file = path, .max_size_bytes = 8, .max_files = 1});

  for (const char* line : {"aaa", "bbb", "ccc"}) CHECK(log->append(line).ok());

  CHECK(content_of(path) == "ccc\n");
  CHECK_FALSE(fs::exists(path + ".1"));
}

TEST_CASE("a file that was moved or deleted is begun anew", "[audit]") {
  const ScratchFolder folder;
  const std::string path = folder / "audit";
  const auto log = open_log({.file = path});
  CHECK(log->append("one").ok());

  fs::rename(path, folder / "moved");
  CHECK(log->append("two").ok());
  fs::remove(path);
  CHECK(log->append("three").ok());

  CHECK(content_of(folder / "moved") == "one\n");
  CHECK(content_of(path) == "three\n");
}

TEST_CASE("what cannot be written is told, and no part of it stays", "[audit]") {
  const ScratchFolder folder;
  const std::string path = folder / "audit";
  const auto log = open_log({.file = path});
  CHECK(log->append("one").ok());
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit small = before;
  small.rlim_cur = 10;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);

  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const absl::Status cut = log->append("does not fit");
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, handler);

  CHECK(absl::IsResourceExhausted(cut));
  CHECK(content_of(path) == "one\n");
  CHECK(log->append("two").ok());
  CHECK(content_of(path) == "one\ntwo\n");
}

TEST_CASE("a file that is none, or cannot be made, is named", "[audit]") {
  const ScratchFolder folder;
  fs::create_symlink(folder / "elsewhere", folder / "link");

  for (const char* name : {"missing/audit", ".", "link"}) {
    const auto log = AuditLog::open({.file = folder / name});
    CHECK_FALSE(log.ok());
    CHECK_THAT(std::string(log.status().message()), Catch::Contains(folder / name));
  }
  CHECK_FALSE(AuditLog::open({.file = "/dev/null"}).ok());
}

TEST_CASE("lines of many threads are whole, over rotations too", "[audit]") {
  const ScratchFolder folder;
  const std::string path = folder / "audit";
  const auto log = open_log({.file = path, .max_size_bytes = 1000, .max_files = 1001});
  const std::string line(50, 'x');

  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&log, &line] {
      for (int n = 0; n < 200; ++n) (void)log->append(line);
    });
  }
  for (std::thread& thread : threads) thread.join();

  size_t lines = 0;
  for (const auto& entry : fs::directory_iterator(folder / "")) {
    std::ifstream stream(entry.path());
    for (std::string text; std::getline(stream, text); ++lines) CHECK(text == line);
  }
  CHECK(lines == 800);
}
