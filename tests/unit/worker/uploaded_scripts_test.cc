#include "worker/uploaded_scripts.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/field_error.h"
#include "support/scratch_folder.h"

namespace clusterd {
namespace fs = std::filesystem;
namespace {

v1::ScriptContent script_of(const std::string& content) {
  v1::ScriptContent script;
  script.set_content(content);
  return script;
}

std::string text_of(const fs::path& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

size_t files_in(const fs::path& folder) {
  return static_cast<size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST_CASE("a script is kept once, named by its SHA-256, and nobody may write it", "[uploads]") {
  const testing::ScratchFolder folder;
  const UploadedScripts scripts(folder / "uploads");

  const auto first = scripts.keep(script_of("#!/bin/sh\n"));
  const auto again = scripts.keep(script_of("#!/bin/sh\n"));
  const auto other = scripts.keep(script_of("echo\n"));

  REQUIRE(first.ok());
  CHECK(fs::path(first->path).filename() ==
        "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf");
  CHECK(first->sha256.size() == 32);
  CHECK(first->has_interpreter);
  CHECK(text_of(first->path) == "#!/bin/sh\n");
  struct stat info {};
  REQUIRE(stat(first->path.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0500);
  CHECK(again->path == first->path);
  CHECK_FALSE(other->has_interpreter);
  CHECK(files_in(folder / "uploads") == 2);
}

TEST_CASE("a file that is not what its name says is written anew", "[uploads]") {
  const testing::ScratchFolder folder;
  const UploadedScripts scripts(folder / "uploads");
  const std::string path = scripts.keep(script_of("#!/bin/sh\n"))->path;
  fs::permissions(path, fs::perms::owner_all);
  std::ofstream(path) << "changed";
  std::ofstream(path + ".new") << "half";

  const auto again = scripts.keep(script_of("#!/bin/sh\n"));

  REQUIRE(again.ok());
  CHECK(text_of(again->path) == "#!/bin/sh\n");
  CHECK(files_in(folder / "uploads") == 1);
}

TEST_CASE("those that were not used for a while make room", "[uploads]") {
  const testing::ScratchFolder folder;
  const fs::path uploads = folder / "uploads";
  const UploadedScripts scripts(uploads);
  const std::string old = scripts.keep(script_of("old"))->path;
  const std::string used = scripts.keep(script_of("used"))->path;
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  fs::last_write_time(old, long_ago);
  fs::last_write_time(used, long_ago);
  CHECK(scripts.keep(script_of("used"))->path == used);
  for (int i = 0; i < 98; ++i) REQUIRE(scripts.keep(script_of(std::to_string(i))).ok());
  CHECK(fs::exists(old));

  REQUIRE(scripts.keep(script_of("one more")).ok());

  CHECK_FALSE(fs::exists(old));
  CHECK(fs::exists(used));
}

TEST_CASE("a folder that cannot be made is told", "[uploads]") {
  const testing::ScratchFolder folder;
  std::ofstream(folder / "uploads") << "a file";

  const auto kept = UploadedScripts(folder / "uploads").keep(script_of("x"));

  CHECK(absl::IsUnavailable(kept.status()));
  CHECK(field_of(kept.status()) == "script");
}

}  // namespace
}  // namespace clusterd
