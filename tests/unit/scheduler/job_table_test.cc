#include "scheduler/job_table.h"

#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <vector>

namespace clusterd {
namespace {

constexpr QueueKey kFirst{.descending_priority = std::numeric_limits<int32_t>::min()};

LiveJob queued_job(uint64_t seq, uint32_t slots = 1) {
  LiveJob live;
  live.job.set_job_id("job-" + std::to_string(seq));
  live.job.set_seq(seq);
  live.job.set_state(v1::Job::QUEUED);
  live.job.mutable_spec()->set_path("a.sh");
  live.job.mutable_spec()->mutable_resources()->set_slots(slots);
  return live;
}

LiveJob& add_ready(JobTable& table, LiveJob live) {
  LiveJob& kept = table.insert(std::move(live));
  table.set_ready(kept, true);
  return kept;
}

// Ids of the first jobs of all lines, in the order of the queue.
std::vector<std::string> heads(const JobTable& table) {
  std::vector<std::string> ids;
  for (QueueKey from = kFirst;;) {
    const ReadyQueue::Head head = table.ready().first_at_or_after(kDefaultQueue, from);
    if (head.line == nullptr) return ids;
    ids.push_back(head.job().job.job_id());
    from = head.key;
    ++from.position;
  }
}

}  // namespace

TEST_CASE("a job leaves its line from wherever in it it stands", "[job_table]") {
  JobTable table;
  LiveJob& third = add_ready(table, queued_job(3));
  LiveJob& first = add_ready(table, queued_job(1));
  LiveJob& second = add_ready(table, queued_job(2));
  LiveJob& wide = add_ready(table, queued_job(4, 2));
  CHECK(first.line == third.line);
  CHECK(first.line != wide.line);
  CHECK(heads(table) == std::vector<std::string>{"job-1", "job-4"});

  table.set_ready(second, false);
  CHECK(heads(table) == std::vector<std::string>{"job-1", "job-4"});
  table.set_ready(first, false);
  CHECK(heads(table) == std::vector<std::string>{"job-3", "job-4"});
  table.set_state(third, v1::Job::STARTING);
  CHECK(heads(table) == std::vector<std::string>{"job-4"});
  table.erase("job-4");

  CHECK(table.ready().empty());
  CHECK_FALSE(table.oldest_ready_second().has_value());
}

TEST_CASE("a line that was left by its last job is made anew", "[job_table]") {
  JobTable table;
  LiveJob& job = add_ready(table, queued_job(1));

  table.set_ready(job, false);
  table.set_ready(job, true);

  CHECK(heads(table) == std::vector<std::string>{"job-1"});
  CHECK(job.line->shape.resources.slots() == 1);
}

TEST_CASE("jobs whose records have one number stand in the queue both", "[job_table]") {
  JobTable table;
  LiveJob& one = add_ready(table, queued_job(1));
  LiveJob copy = queued_job(1);
  copy.job.set_job_id("copy");
  LiveJob& other = add_ready(table, std::move(copy));

  table.set_ready(one, false);
  CHECK(heads(table) == std::vector<std::string>{"copy"});
  table.set_ready(other, false);

  CHECK(table.ready().empty());
}

TEST_CASE("a job takes the place of one with its id", "[job_table]") {
  JobTable table;
  LiveJob before = queued_job(1);
  before.job.set_external_id("order 7");
  before.job.mutable_spec()->mutable_script()->set_content("exit 1\n");
  add_ready(table, std::move(before));

  LiveJob& kept = table.insert(queued_job(1, 2));

  CHECK(table.find("job-1") == &kept);
  CHECK(table.find_external("order 7") == nullptr);
  CHECK(table.script_bytes() == 0);
  CHECK(table.queued() == 1);
  CHECK(table.ready().empty());
}

TEST_CASE("an ended job stays until its end is durable", "[job_table]") {
  JobTable table;
  LiveJob& ended = table.insert(queued_job(1));
  LiveJob& retried = table.insert(queued_job(2));
  for (LiveJob* job : {&ended, &retried}) {
    table.set_state(*job, v1::Job::FAILED);
    job->commit = 5;
    table.retire(*job);
  }
  retried.commit = 6;

  table.evict_until(4);
  CHECK(table.find("job-1") == &ended);
  table.evict_until(5);

  CHECK(table.find("job-1") == nullptr);
  CHECK(table.find("job-2") == &retried);
  CHECK(table.counts().at(v1::Job::FAILED) == 2);  // the store has it
}

}  // namespace clusterd
