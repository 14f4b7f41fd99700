#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "store/sqlite_database.h"
#include "unit/store/sample_records.h"
#include "unit/store/stores_under_test.h"

namespace clusterd {

using v1::Job;

TEST_CASE("room that deletions made is given back to the file system", "[store]") {
  OnDisk held;
  REQUIRE((*held).begin_term().ok());
  std::vector<Job> jobs;
  for (uint64_t seq = 1; seq <= 200; ++seq) {
    jobs.push_back(sample_job(seq, Job::SUCCEEDED));
    jobs.back().mutable_end_time()->set_seconds(1);
    jobs.back().mutable_spec()->add_args(std::string(20'000, 'x'));
  }
  StoreBatch filling;
  filling.put_jobs = jobs;
  REQUIRE((*held).commit({&filling, 1}).ok());
  StoreBatch deletion;
  for (const Job& job : jobs) deletion.delete_jobs.push_back(job.job_id());
  REQUIRE((*held).commit({&deletion, 1}).ok());

  StoreBatch upkeep;
  upkeep.upkeep = WallTime();
  for (int i = 0; i < 4; ++i) REQUIRE((*held).commit({&upkeep, 1}).ok());
  held.store.reset();  // the log goes into the file

  auto database =
      SqliteDatabase::open(held.folder.file("store.db"), SqliteDatabase::Access::kReadOnly, "");
  REQUIRE(database.ok());
  CHECK(*(*database)->query_integer("PRAGMA page_count") < 200);  // of a thousand
}

}  // namespace clusterd
