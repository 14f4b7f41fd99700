#include "cli/run_daemon.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

namespace clusterd {
namespace {

TEST_CASE("the worker's folders are checked by key and path", "[daemon]") {
  std::string folder = (std::filesystem::temp_directory_path() / "folders-XXXXXX").string();
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  std::ofstream(folder + "/file") << "x";
  WorkerConfig good;
  good.jobs.scripts_dir = folder;
  good.jobs.data_dir = folder + "/not/yet/there";
  WorkerConfig missing = good;
  missing.jobs.scripts_dir = folder + "/none";
  WorkerConfig file = good;
  file.jobs.data_dir = folder + "/file/data";

  const absl::Status good_status = check_folders(good);
  const absl::Status missing_status = check_folders(missing);
  const absl::Status file_status = check_folders(file);

  CHECK(good_status.ok());
  CHECK(missing_status.code() == absl::StatusCode::kNotFound);
  CHECK(std::string(missing_status.message()) ==
        "jobs.scripts_dir: \"" + folder + "/none\" does not exist");
  CHECK(file_status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::string(file_status.message()).starts_with("jobs.data_dir: "));
  std::filesystem::remove_all(folder);
}

TEST_CASE("a file that cannot be read or is wrong gives no configuration", "[daemon]") {
  CHECK(prepare(SchedulerCommand{.config_file = "/nonexistent"}).status().code() ==
        absl::StatusCode::kNotFound);
  CHECK(prepare(WorkerCommand{.config_file = "/nonexistent"}).status().code() ==
        absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace clusterd
