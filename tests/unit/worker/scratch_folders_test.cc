#include "worker/launcher/scratch_folders.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <optional>

namespace clusterd {
namespace fs = std::filesystem;
namespace {

class Scratch {
 public:
  Scratch() {
    std::string name = fs::temp_directory_path() / "scratch-XXXXXX";
    root = ::mkdtemp(name.data());
    folders.emplace();
  }
  ~Scratch() { fs::remove_all(root); }

  internal::LaunchPlan plan(const std::string& name) const {
    internal::LaunchPlan plan;
    plan.set_scratch_folder(root / name);
    return plan;
  }
  // What was asked for is done when the folders have been closed.
  void finish() { folders.reset(); }

  fs::path root;
  std::optional<ScratchFolders> folders;
};

}  // namespace

TEST_CASE("a scratch folder is its owner's alone, and goes", "[scratch]") {
  Scratch scratch;
  struct stat info {};

  const bool made = scratch.folders->make(scratch.plan("a")).ok();
  ::stat((scratch.root / "a").c_str(), &info);
  std::ofstream(scratch.root / "a/file") << "x";
  scratch.folders->remove(scratch.root / "a");
  scratch.finish();

  CHECK(made);
  CHECK((info.st_mode & 07777) == 0700);
  CHECK(fs::is_empty(scratch.root));
}

TEST_CASE("what an earlier start left is not what the next one finds", "[scratch]") {
  Scratch scratch;
  fs::create_directory(scratch.root / "a");
  std::ofstream(scratch.root / "a/old") << "x";

  REQUIRE(scratch.folders->make(scratch.plan("a")).ok());

  CHECK(fs::is_empty(scratch.root / "a"));
  scratch.finish();
  CHECK(std::distance(fs::directory_iterator(scratch.root), {}) == 1);
}

TEST_CASE("a sweep takes what nobody holds", "[scratch]") {
  Scratch scratch;
  for (const char* name : {"old", "held", ".removed-1", "old2"}) {
    fs::create_directory(scratch.root / name);
  }
  scratch.folders->hold(scratch.root / "held");
  REQUIRE(scratch.folders->make(scratch.plan("made")).ok());

  scratch.folders->sweep(scratch.root);
  scratch.finish();

  CHECK(fs::exists(scratch.root / "held"));
  CHECK(fs::exists(scratch.root / "made"));
  CHECK(std::distance(fs::directory_iterator(scratch.root), {}) == 2);
}

TEST_CASE("a folder that cannot be made is named", "[scratch]") {
  Scratch scratch;

  const absl::Status status = scratch.folders->make(scratch.plan("none/a"));

  CHECK(absl::IsUnavailable(status));
  CHECK_THAT(std::string(status.message()), Catch::Contains("none/a: No such file"));
}

TEST_CASE("an attempt without a scratch folder gets none", "[scratch]") {
  Scratch scratch;

  CHECK(scratch.folders->make(internal::LaunchPlan()).ok());
  CHECK(fs::is_empty(scratch.root));
}

}  // namespace clusterd
