// Puts copies of a queued job into a store, as many as are asked for, by the same writer and in
// the same records that a scheduler would have made of so many submits. The scheduler that the
// store belongs to must not run. For scale.py: a million submits take most of its time.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <utility>

#include "core/clock.h"
#include "core/ids.h"
#include "core/proto_time.h"
#include "store/sqlite_store.h"

namespace {

using namespace clusterd;  // NOLINT: a program of a few lines

constexpr uint64_t kJobsInBatch = 2000;

int fail(const std::string& why) {
  std::fprintf(stderr, "fill_store: %s\n", why.c_str());
  return 1;
}

int fill(const std::string& path, uint64_t jobs) {
  auto store = SqliteStore::open(path);
  if (!store.ok()) return fail(store.status().ToString());
  auto contents = (*store)->begin_term();
  if (!contents.ok()) return fail(contents.status().ToString());
  if (contents->live_jobs.empty()) return fail(path + ": no job that has not ended");
  v1::Job job = contents->live_jobs.back();
  if (job.state() != v1::Job::QUEUED) return fail("job " + job.job_id() + " is not QUEUED");
  uint64_t seq = contents->meta.last_job_seq();
  uint64_t event_seq = contents->meta.last_event_seq();
  const SystemClock clock;
  while (jobs > 0) {
    StoreBatch batch;
    for (; jobs > 0 && batch.put_jobs.size() < kJobsInBatch; --jobs) {
      const WallTime now = clock.now().wall;
      job.set_job_id(new_uuid_v7(now));
      job.set_seq(++seq);
      *job.mutable_submit_time() = to_proto(now);
      batch.put_jobs.push_back(job);
      v1::Event& event = batch.put_events.emplace_back();
      event.set_seq(++event_seq);
      *event.mutable_time() = job.submit_time();
      *event.mutable_job() = job;
    }
    const absl::Status committed = (*store)->commit({&batch, 1});
    if (!committed.ok()) return fail(committed.ToString());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Copies the newest queued job of a store"};
  std::string path;
  uint64_t jobs = 0;
  app.add_option("store", path, "The SQLite file")->required();
  app.add_option("--jobs", jobs, "How many copies")->required();
  CLI11_PARSE(app, argc, argv);
  return fill(path, jobs);
}
