// Hot paths of the worker's decider and of the store.
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/proto_time.h"
#include "hot_paths.h"
#include "store/sqlite_store.h"
#include "support/fake_launcher.h"
#include "worker/worker_decider.h"

namespace clusterd::bench {
namespace {

constexpr uint64_t kEpoch = 1;
constexpr uint64_t kSession = 1;

// A worker's decider in a session, with a launcher that has no processes.
class DrivenWorker {
 public:
  DrivenWorker()
      : decider_([](const v1::AttemptKey& key) {
          return absl::StrCat("/var/lib/clusterd/output/", key.job_id(), "/", key.attempt());
        }) {
    decider_.on_launcher_connected(launcher_.hello(), now_);
    (void)decider_.on_session_opening(kEpoch);
    decider_.on_session_opened(kEpoch, kSession, now_);
    settle();
  }

  void run_one() {
    const std::string id = job_id(++jobs_);
    v1::StartJobsRequest request;
    request.set_epoch(kEpoch);
    request.set_session(kSession);
    v1::StartAttempt& attempt = *request.add_attempts();
    attempt.mutable_key()->set_job_id(id);
    attempt.mutable_key()->set_attempt(1);
    *attempt.mutable_spec() = plain_spec();
    decider_.on_start(jobs_, std::move(request), now_);
    settle();
    launcher_.exit(id, 0, 4096);
    settle();
    decider_.on_acknowledged({to_key({id, 1})}, now_);
    settle();
    must(decider_.held() == 0, "the attempt is held still");
    now_.boot += std::chrono::milliseconds(2);
    decider_.on_tick(now_);
  }

 private:
  // Carries out effects and brings the launcher's news until nothing happens any more.
  void settle() {
    while (true) {
      std::vector<WorkerEffect> effects = decider_.take_effects();
      for (WorkerEffect& effect : effects) carry_out(effect);
      const internal::FromLauncher news = launcher_.take_news();
      const bool quiet = news.started().empty() && news.ended().empty();
      if (effects.empty() && quiet) return;
      if (!quiet) decider_.on_launcher_message(news, now_);
    }
  }

  void carry_out(WorkerEffect& effect) {
    if (auto* check = std::get_if<CheckStart>(&effect)) {
      internal::LaunchPlan plan;
      *plan.mutable_key() = check->attempt.key();
      decider_.on_checked(check->check, std::move(plan), now_);
    } else if (auto* orders = std::get_if<SendOrders>(&effect)) {
      launcher_.send(std::move(orders->orders));
    } else if (const auto* keep = std::get_if<KeepEnd>(&effect)) {
      decider_.on_end_kept(keep->attempt.key(), now_);
    } else if (const auto* reply = std::get_if<CallReply>(&effect)) {
      must(reply->status);
    }
  }

  Now now_ = still_time();
  FakeLauncher launcher_;
  WorkerDecider decider_;
  uint64_t jobs_ = 0;
};

// Jobs that are accepted, started and ended, each in another commit. Batches are made beforehand.
class DrivenStore {
 public:
  DrivenStore(const std::string& folder, uint64_t commits) {
    SqliteStore::Options options;
    options.max_events = kCommittedRecords * 4;  // an old one goes for each that comes
    auto opened = SqliteStore::open(folder + "/store.db", options);
    must(opened.status());
    store_ = *std::move(opened);
    must(store_->begin_term().status());
    constexpr uint64_t kAtOnce = kCommittedRecords / 3;
    for (uint64_t number = 2; number < commits + 2; ++number) {
      StoreBatch& batch = batches_.emplace_back();
      for (uint64_t job = number * kAtOnce; job < (number + 1) * kAtOnce; ++job) {
        put(accepted(job), batch);
        put(started(job - kAtOnce), batch);
        put(ended(job - 2 * kAtOnce), batch);
      }
    }
  }

  void commit() {
    must(next_ < batches_.size(), "no batch is left");
    must(store_->commit({&batches_[next_++], 1}));
  }

 private:
  static v1::Job accepted(uint64_t number) {
    v1::Job job;
    job.set_job_id(job_id(number));
    job.set_seq(number);
    *job.mutable_spec() = plain_spec();
    job.set_state(v1::Job::QUEUED);
    job.set_submitted_by("token:ci");
    *job.mutable_submit_time() = to_proto(still_time().wall);
    return job;
  }

  static v1::Job started(uint64_t number) {
    v1::Job job = accepted(number);
    job.set_state(v1::Job::RUNNING);
    job.set_attempt(1);
    job.set_worker_id(job_id(0));
    *job.mutable_start_time() = job.submit_time();
    v1::Attempt& attempt = *job.add_attempts();
    attempt.set_number(1);
    attempt.set_worker_id(job.worker_id());
    *attempt.mutable_start_time() = job.submit_time();
    attempt.set_output_path(absl::StrCat("/var/lib/clusterd/output/", job.job_id(), "/1"));
    job.set_output_path(attempt.output_path());
    return job;
  }

  static v1::Job ended(uint64_t number) {
    v1::Job job = started(number);
    job.set_state(v1::Job::SUCCEEDED);
    job.mutable_end()->set_reason(v1::JobEnd::EXITED);
    job.mutable_end()->set_exit_code(0);
    job.mutable_end()->add_outputs()->set_stream(v1::OutputStream::MERGED);
    *job.mutable_end_time() = job.submit_time();
    *job.mutable_attempts(0)->mutable_end() = job.end();
    *job.mutable_attempts(0)->mutable_end_time() = job.end_time();
    return job;
  }

  void put(v1::Job job, StoreBatch& batch) {
    v1::Event& event = batch.put_events.emplace_back();
    event.set_seq(++events_);
    *event.mutable_time() = job.submit_time();
    *event.mutable_job() = job;
    batch.put_jobs.push_back(std::move(job));
  }

  std::unique_ptr<SqliteStore> store_;
  std::vector<StoreBatch> batches_;
  size_t next_ = 0;
  uint64_t events_ = 0;
};

}  // namespace

Operation attempt_decisions() {
  return [driven = std::make_unique<DrivenWorker>()] { driven->run_one(); };
}

Operation commit(const std::string& folder, uint64_t commits) {
  return [driven = std::make_unique<DrivenStore>(folder, commits)] { driven->commit(); };
}

}  // namespace clusterd::bench
