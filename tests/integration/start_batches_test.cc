#include <catch2/catch.hpp>
#include <cstdlib>
#include <future>
#include <set>
#include <vector>

#include "rpc/digest.h"
#include "scheduler/scheduler_app.h"
#include "support/memory_store.h"

namespace clusterd {
namespace {

using Batches = std::vector<v1::StartJobsRequest>;

constexpr size_t kBatchBytes = 4U << 20;
constexpr int kBatchJobs = 1'000;
const char* const kWorkerId = "01890000-0000-4000-8000-000000000000";

// A worker that is who it says and answers no start. Core thread only, but for the future of the
// batches, which is ready when they hold as many attempts as expected.
class SilentLink final : public WorkerLink {
 public:
  explicit SilentLink(int expected) : missing_(expected) {}

  std::future<Batches> batches() { return complete_.get_future(); }

  void identify(Done<v1::WorkerIdentity> done) override {
    v1::WorkerIdentity identity;
    identity.set_worker_id(kWorkerId);
    done(identity);
  }
  void start_jobs(v1::StartJobsRequest request, Done<v1::StartJobsResponse> done) override {
    (void)done;
    missing_ -= request.attempts_size();
    batches_.push_back(std::move(request));
    if (missing_ == 0) complete_.set_value(std::move(batches_));
  }
  void stop_jobs(v1::StopJobsRequest, Done<v1::StopJobsResponse>) override { std::abort(); }
  void signal_job(v1::SignalAttemptRequest, Done<v1::SignalAttemptResponse>) override {
    std::abort();
  }
  void list_scripts(v1::ListWorkerScriptsRequest, Done<v1::ListWorkerScriptsResponse>) override {
    std::abort();
  }
  void stream_output(grpc::ClientContext*, const v1::StreamAttemptRequest*,
                     grpc::ClientReadReactor<v1::StreamJobResponse>*) override {
    std::abort();
  }

 private:
  int missing_;
  Batches batches_;
  std::promise<Batches> complete_;
};

absl::StatusOr<Answer> call(SchedulerApp& app, Term::Decide decide) {
  std::promise<absl::StatusOr<Answer>> answered;
  app.call([&answered](absl::StatusOr<Answer> answer) { answered.set_value(std::move(answer)); },
           std::move(decide));
  return answered.get_future().get();
}

void submit(SchedulerApp& app, int jobs, size_t arg_bytes) {
  for (int i = 0; i < jobs; ++i) {
    SubmitOrder order{.job_id = "job-" + std::to_string(i)};
    order.spec.set_path("count.sh");
    order.spec.add_args(std::string(arg_bytes, 'x'));
    const auto answer = call(app, [order](Scheduler& scheduler, CallId call, Now now) {
      return scheduler.submit(call, order, now);
    });
    REQUIRE(answer.ok());
  }
}

// A worker with room for every job opens its session.
void join(SchedulerApp& app) {
  RegisterOrder order;
  order.request.set_name("w1");
  order.request.set_address("w1:1");
  order.request.mutable_capacity()->set_slots(1'000'000);
  order.fresh_worker_id = kWorkerId;
  order.fresh_sha256 = sha256("secret");
  const auto registered = call(app, [order](Scheduler& scheduler, CallId call, Now now) {
    return scheduler.register_worker(call, order, now);
  });
  REQUIRE(registered.ok());
  v1::SessionHello hello;
  hello.mutable_identity()->set_worker_id(kWorkerId);
  hello.set_secret("secret");
  app.with_term([hello](Term* term) {
    constexpr StreamId kStream = 1;
    term->open_session(kStream, {[](const v1::SessionResponse&) {}, [](const absl::Status&) {}},
                       hello);
  });
}

// The batches in which so many jobs, all queued before, leave for one worker.
Batches batches_of(int jobs, size_t arg_bytes) {
  const SystemClock clock;
  MemoryStore store;
  const auto link = std::make_shared<SilentLink>(jobs);  // the app's too, while it lives
  const SchedulerConfig config;
  SchedulerApp app(config, clock, store,
                   [link](const std::string&, const std::string&) { return link; });
  app.wait_for_first_load();
  submit(app, jobs, arg_bytes);

  join(app);

  auto batches = link->batches();
  REQUIRE(batches.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
  return batches.get();
}

std::set<std::string> jobs_in(const Batches& batches) {
  std::set<std::string> jobs;
  for (const auto& batch : batches) {
    for (const auto& attempt : batch.attempts()) jobs.insert(attempt.key().job_id());
  }
  return jobs;
}

TEST_CASE("starts of large jobs leave in batches bounded in bytes, each job once") {
  constexpr int kJobs = 100;
  constexpr size_t kArgBytes = 300'000;

  const Batches batches = batches_of(kJobs, kArgBytes);

  CHECK(jobs_in(batches).size() == kJobs);
  CHECK(batches.size() == 8);  // 14 jobs are 4.2 MB, the first sum that reaches 4 MiB is of 14
  for (const auto& batch : batches) CHECK(batch.ByteSizeLong() < kBatchBytes + 2 * kArgBytes);
}

TEST_CASE("starts of small jobs leave in batches bounded in number, each job once") {
  const Batches batches = batches_of(2 * kBatchJobs + 1, 1);

  CHECK(jobs_in(batches).size() == 2 * kBatchJobs + 1);
  REQUIRE(batches.size() == 3);
  CHECK(batches[0].attempts_size() == kBatchJobs);
  CHECK(batches[2].attempts_size() == 1);
}

}  // namespace
}  // namespace clusterd
