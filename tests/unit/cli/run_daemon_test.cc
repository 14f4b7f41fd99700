#include "cli/run_daemon.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

namespace clusterd {
namespace {

// A configuration of folders in one that goes with it.
class Folders {
 public:
  Folders() {
    REQUIRE(mkdtemp(path_.data()) != nullptr);
    std::filesystem::create_directory(path_ + "/scripts");
    std::filesystem::permissions(path_ + "/scripts", std::filesystem::perms::owner_all);
    std::ofstream(path_ + "/file") << "x";
    config.jobs.scripts_dir = path_ + "/scripts";
    config.jobs.data_dir = path_ + "/data";
  }
  ~Folders() { std::filesystem::remove_all(path_); }
  Folders(const Folders&) = delete;
  Folders& operator=(const Folders&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  WorkerConfig config;

 private:
  std::string path_ = (std::filesystem::temp_directory_path() / "folders-XXXXXX").string();
};

TEST_CASE("the check tells which folders the start will make", "[daemon]") {
  const Folders folders;
  WorkerConfig missing = folders.config;
  missing.jobs.scripts_dir = folders.path() + "/not/yet/there";

  const auto to_be_made = check_folders(missing);

  REQUIRE(to_be_made.ok());
  CHECK(*to_be_made ==
        std::vector<std::string>{"jobs.scripts_dir: \"" + missing.jobs.scripts_dir + "\"",
                                 "jobs.data_dir: \"" + missing.jobs.data_dir + "\""});
  std::filesystem::create_directory(folders.path() + "/data");
  const auto all_there = check_folders(folders.config);
  REQUIRE(all_there.ok());
  CHECK(all_there->empty());
}

TEST_CASE("a folder that the start could not make is refused by key and path", "[daemon]") {
  Folders folders;
  for (std::string WorkerConfig::Jobs::*key :
       {&WorkerConfig::Jobs::scripts_dir, &WorkerConfig::Jobs::data_dir}) {
    for (const char* where : {"/file", "/file/below"}) {
      CAPTURE(where);
      WorkerConfig config = folders.config;
      config.jobs.*key = folders.path() + where;
      const auto status = check_folders(config).status();

      CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
      const bool is_scripts = key == &WorkerConfig::Jobs::scripts_dir;
      CHECK_THAT(std::string(status.message()),
                 Catch::StartsWith((is_scripts ? "jobs.scripts_dir: \"" : "jobs.data_dir: \"") +
                                   folders.path() + where));
    }
  }
}

TEST_CASE("a scripts folder that others may write is refused as each job would be", "[daemon]") {
  const Folders folders;
  std::filesystem::permissions(folders.path() + "/scripts", std::filesystem::perms::all);

  const auto status = check_folders(folders.config).status();

  CHECK(status.code() == absl::StatusCode::kPermissionDenied);
  CHECK_THAT(std::string(status.message()),
             Catch::StartsWith("jobs.scripts_dir: the scripts folder " + folders.path()) &&
                 Catch::Contains("writable by others"));
}

TEST_CASE("a file that cannot be read or is wrong gives no configuration", "[daemon]") {
  CHECK(prepare(SchedulerCommand{.config_file = "/nonexistent"}).status().code() ==
        absl::StatusCode::kNotFound);
  CHECK(prepare(WorkerCommand{.config_file = "/nonexistent"}).status().code() ==
        absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace clusterd
