#include "core/file_watch.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

namespace clusterd {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "file-watch-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST_CASE("a file that has not changed is not told", "[file_watch]") {
  const Folder folder;
  write(folder / "a", "1");
  FileWatch watch({folder / "a", folder / "none"});

  CHECK_FALSE(watch.look());
  CHECK_FALSE(watch.look());
}

TEST_CASE("a change is told once, when it has come to rest", "[file_watch]") {
  const Folder folder;
  write(folder / "a", "1");
  write(folder / "b", "1");
  FileWatch watch({folder / "a", folder / "b"});

  write(folder / "a", "22");
  CHECK_FALSE(watch.look());
  write(folder / "b", "22");
  CHECK_FALSE(watch.look());
  CHECK(watch.look());
  CHECK_FALSE(watch.look());
}

TEST_CASE("a replaced, a new, a removed and a redirected file are changes", "[file_watch]") {
  const Folder folder;
  write(folder / "a", "1");
  write(folder / "b", "1");
  fs::create_symlink(folder / "a", folder / "link");
  FileWatch watch({folder / "link", folder / "new"});
  const auto told = [&watch] { return watch.look() || watch.look(); };

  fs::rename(folder / "b", folder / "a");
  CHECK(told());
  write(folder / "new", "");
  CHECK(told());
  fs::remove(folder / "new");
  CHECK(told());
  write(folder / "c", "1");
  fs::create_symlink(folder / "c", folder / "next");
  fs::rename(folder / "next", folder / "link");
  CHECK(told());
}

TEST_CASE("what somebody has read anyway is not told", "[file_watch]") {
  const Folder folder;
  write(folder / "a", "1");
  FileWatch watch({folder / "a"});

  write(folder / "a", "22");
  watch.settle();

  CHECK_FALSE(watch.look());
  CHECK_FALSE(watch.look());
}

}  // namespace
}  // namespace clusterd
