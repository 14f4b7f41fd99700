#include "worker/remove_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "worker/unique_fd.h"

namespace clusterd {
namespace fs = std::filesystem;
namespace {

const std::atomic<bool> kGoOn = false;

// A folder that is to go, beside one that is to stay.
class Folders {
 public:
  Folders() {
    std::string name = fs::temp_directory_path() / "remove-XXXXXX";
    root = ::mkdtemp(name.data());
    doomed = root / "doomed";
    fs::create_directories(doomed);
    fs::create_directories(root / "stays");
    std::ofstream(root / "stays/file") << "x";
  }
  ~Folders() { fs::remove_all(root); }

  bool is_clean() const { return !fs::exists(fs::symlink_status(doomed)) && stays(); }
  bool stays() const { return fs::exists(root / "stays/file"); }

  fs::path root;
  fs::path doomed;
};

}  // namespace

TEST_CASE("a tree goes, and links in it lead nowhere", "[remove_tree]") {
  const Folders folders;
  fs::create_directories(folders.doomed / "a/b/c");
  std::ofstream(folders.doomed / "a/b/file") << "x";
  fs::create_symlink(folders.root / "stays", folders.doomed / "a/b/c/link");
  fs::create_symlink("../../stays", folders.doomed / "a/up");
  fs::create_hard_link(folders.root / "stays/file", folders.doomed / "a/hard");
  REQUIRE(::mkfifo((folders.doomed / "a/fifo").c_str(), 0600) == 0);

  CHECK(remove_tree(folders.doomed, kGoOn).ok());

  CHECK(folders.is_clean());
}

TEST_CASE("a link in the place of the folder is removed itself", "[remove_tree]") {
  const Folders folders;
  fs::remove(folders.doomed);
  fs::create_symlink(folders.root / "stays", folders.doomed);

  CHECK(remove_tree(folders.doomed, kGoOn).ok());

  CHECK(folders.is_clean());
}

TEST_CASE("what is not there is no error", "[remove_tree]") {
  const Folders folders;

  CHECK(remove_tree(folders.doomed / "none", kGoOn).ok());
  CHECK(remove_tree(folders.doomed, kGoOn).ok());
}

TEST_CASE("a tree deeper than any path may be goes, whatever its names", "[remove_tree]") {
  const Folders folders;
  UniqueFd at(::open(folders.doomed.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (int depth = 0; depth < 3000; ++depth) {
    const char* name = depth % 2 == 0 ? ".lifted-1" : ".lifted-2";
    REQUIRE(::mkdirat(at.get(), name, 0700) == 0);
    REQUIRE(::mkdirat(at.get(), "beside", 0700) == 0);
    UniqueFd next(::openat(at.get(), name, O_PATH | O_DIRECTORY | O_CLOEXEC));
    at = std::move(next);
  }

  CHECK(remove_tree(folders.doomed, kGoOn).ok());

  CHECK(folders.is_clean());
}

TEST_CASE("folders without rights for their owner go too", "[remove_tree]") {
  const Folders folders;
  fs::create_directories(folders.doomed / "a/b");
  std::ofstream(folders.doomed / "a/b/file") << "x";
  ::chmod((folders.doomed / "a/b").c_str(), 0);
  ::chmod((folders.doomed / "a").c_str(), 0);
  ::chmod(folders.doomed.c_str(), 0);

  CHECK(remove_tree(folders.doomed, kGoOn).ok());

  CHECK(folders.is_clean());
}

TEST_CASE("a removal stops when it is told to", "[remove_tree]") {
  const Folders folders;
  std::ofstream(folders.doomed / "file") << "x";
  const std::atomic<bool> stop = true;

  CHECK(absl::IsCancelled(remove_tree(folders.doomed, stop)));

  CHECK(fs::exists(folders.doomed / "file"));
}

}  // namespace clusterd
