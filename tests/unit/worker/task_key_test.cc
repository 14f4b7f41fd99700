#include "worker/task_key.h"

#include <catch2/catch.hpp>

using namespace clusterd;

TEST_CASE("a task's id becomes a file name and back", "[task_key]") {
  const auto [task, job] = GENERATE(table<std::string, std::string>({
      {"t1", "t1"},
      {"3f2-A.b", "3f2-A.b"},
      {"a/b c", "a_2Fb_20c"},
      {"..", "_2E."},
      {"_", "_5F"},
      {"\xC3\xA9", "_C3_A9"},
      {std::string("\0\xFF", 2), "_00_FF"},
  }));

  REQUIRE(job_id_of_task(task).ok());
  CHECK(*job_id_of_task(task) == job);
  CHECK(*task_of_job_id(job) == task);
}

TEST_CASE("an id that is empty or too long is refused", "[task_key]") {
  CHECK(absl::IsInvalidArgument(job_id_of_task("").status()));
  CHECK(job_id_of_task(std::string(128, 'a')).ok());
  CHECK(absl::IsInvalidArgument(job_id_of_task(std::string(129, 'a')).status()));
  CHECK(absl::IsInvalidArgument(job_id_of_task(std::string(43, '/')).status()));
}

TEST_CASE("a job id that no task has is told", "[task_key]") {
  CHECK(absl::IsInvalidArgument(task_of_job_id("a_").status()));
  CHECK(absl::IsInvalidArgument(task_of_job_id("a_2").status()));
  CHECK(absl::IsInvalidArgument(task_of_job_id("a_2g").status()));
}
