#include "clusterd/job_tasks.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

v1::Job array_of(uint32_t from, uint32_t to, uint32_t step) {
  v1::Job array;
  array.set_job_id("job");
  array.set_seq(7);
  array.set_state(v1::Job::RUNNING);
  array.mutable_spec()->mutable_array()->set_from(from);
  array.mutable_spec()->mutable_array()->set_to(to);
  array.mutable_spec()->mutable_array()->set_step(step);
  array.mutable_spec()->set_path("count.sh");
  return array;
}

TEST_CASE("a task's id is its array's and its index", "[tasks]") {
  CHECK(task_id("job", 12) == "job.12");
  CHECK(split_task_id("job.12") == std::pair<std::string, uint32_t>("job", 12));
  CHECK(split_task_id("job.0")->second == 0);
  for (const char* id : {"job", "job.", ".1", "job.01", "job.-1", "job.1x", "job.4294967296", ""}) {
    INFO(id);
    CHECK_FALSE(split_task_id(id));
  }
}

TEST_CASE("indexes and positions follow from, to and step", "[tasks]") {
  const v1::ArraySpec array = array_of(3, 10, 3).spec().array();

  CHECK(task_count(array) == 3);
  CHECK(task_index(array, 2) == 9);
  CHECK(task_position(array, 6) == 1U);
  CHECK_FALSE(task_position(array, 7));
  CHECK_FALSE(task_position(array, 0));
  CHECK_FALSE(task_position(array, 12));
  CHECK(task_count(array_of(0, 4'294'967'295, 4'294'967'295).spec().array()) == 2);
  CHECK(task_count(array_of(5, 5, 0).spec().array()) == 1);
}

TEST_CASE("a task without a record waits as its array does, or ended with it", "[tasks]") {
  v1::Job array = array_of(0, 9, 1);
  (*array.mutable_spec()->mutable_env())["A"] = "b";
  array.mutable_spec()->add_after()->set_job_id("other");
  array.mutable_spec()->mutable_script()->set_content("the array keeps it");
  array.mutable_spec()->mutable_script()->set_sha256("digest");

  const v1::Job waiting = unstarted_task(array, 4);
  CHECK(waiting.job_id() == "job.4");
  CHECK(waiting.seq() == 7);
  CHECK(waiting.state() == v1::Job::QUEUED);
  CHECK(waiting.spec().path() == "count.sh");
  CHECK(waiting.spec().env().at("A") == "b");
  CHECK_FALSE(waiting.spec().has_array());
  CHECK(waiting.spec().after().empty());
  CHECK(waiting.spec().script().content().empty());
  CHECK(waiting.spec().script().sha256() == "digest");
  CHECK_FALSE(waiting.has_end());

  array.mutable_unstarted_end()->set_reason(v1::JobEnd::CANCELLED_BEFORE_START);
  const v1::Job stopped = unstarted_task(array, 4);
  CHECK(stopped.state() == v1::Job::STOPPED);
  CHECK(stopped.end().reason() == v1::JobEnd::CANCELLED_BEFORE_START);
}

}  // namespace
}  // namespace clusterd
