#include "scheduler/scheduler_app.h"

#include <catch2/catch.hpp>
#include <future>

#include "rpc/digest.h"
#include "support/memory_store.h"

namespace clusterd {
namespace {

using std::chrono_literals::operator""s;

// A worker that is called back and answers when the test says so.
class LateLink final : public WorkerLink {
 public:
  // Blocks until it has been called back; the call is answered by the caller.
  Done<v1::WorkerIdentity> wait_for_call_back() { return called_back_.get_future().get(); }

  void identify(Done<v1::WorkerIdentity> done) override { called_back_.set_value(std::move(done)); }
  void start_jobs(v1::StartJobsRequest /*request*/, Done<v1::StartJobsResponse> /*done*/) override {
    FAIL_CHECK("no job was placed");
  }
  void stop_jobs(v1::StopJobsRequest /*request*/, Done<v1::StopJobsResponse> /*done*/) override {
    FAIL_CHECK("no job was placed");
  }
  void signal_job(v1::SignalAttemptRequest /*request*/,
                  Done<v1::SignalAttemptResponse> /*done*/) override {
    FAIL_CHECK("no job was placed");
  }
  void list_scripts(v1::ListWorkerScriptsRequest /*request*/,
                    Done<v1::ListWorkerScriptsResponse> /*done*/) override {
    FAIL_CHECK("nobody asked");
  }
  void stream_output(grpc::ClientContext* /*context*/, const v1::StreamAttemptRequest* /*request*/,
                     grpc::ClientReadReactor<v1::StreamJobResponse>* /*reactor*/) override {
    FAIL_CHECK("nobody asked");
  }

 private:
  std::promise<Done<v1::WorkerIdentity>> called_back_;
};

// An app over a store in memory. Calls block until answered.
class App {
 public:
  explicit App(MemoryStore& store, const std::shared_ptr<WorkerLink>& link = nullptr)
      : app_(config_, clock_, store,
             [link](const std::string&, const std::string&) { return link; }) {
    ready();
  }

  // Registers a worker and opens its session, upon which it is called back.
  void add_worker() {
    RegisterOrder order;
    order.request.set_name("w1");
    order.request.set_address("127.0.0.1:1");
    order.fresh_worker_id = "id-1";
    order.fresh_sha256 = sha256("");
    REQUIRE(call([order](Scheduler& scheduler, CallId call, Now now) {
              return scheduler.register_worker(call, order, now);
            }).ok());
    app_.with_term([](Term* term) {
      v1::SessionHello hello;
      hello.mutable_identity()->set_worker_id("id-1");
      SessionPort port{.send = [](const v1::SessionResponse&) {}, .close = [](absl::Status) {}};
      term->open_session(1, std::move(port), hello);
    });
  }

  // Waits until a term is in office.
  void ready() {
    while (true) {
      std::promise<bool> answered;
      app_.with_term([&answered](Term* term) { answered.set_value(term != nullptr); });
      if (answered.get_future().get()) return;
    }
  }

  absl::StatusOr<Answer> submit(const std::string& job_id) {
    return call([job_id](Scheduler& scheduler, CallId call, Now now) {
      SubmitOrder order{.job_id = job_id};
      order.spec.set_path("count.sh");
      return scheduler.submit(call, std::move(order), now);
    });
  }

  absl::StatusOr<Answer> query(const std::string& job_id) {
    return call([job_id](Scheduler& scheduler, CallId call, Now) {
      v1::QueryJobRequest request;
      request.set_job_id(job_id);
      return scheduler.query(call, request);
    });
  }

  absl::StatusOr<Answer> call(Term::Decide decide) {
    std::promise<absl::StatusOr<Answer>> answered;
    app_.call([&answered](absl::StatusOr<Answer> answer) { answered.set_value(std::move(answer)); },
              std::move(decide));
    return answered.get_future().get();
  }

  SchedulerApp& operator*() { return app_; }

 private:
  SystemClock clock_;
  SchedulerConfig config_;
  SchedulerApp app_;
};

TEST_CASE("an acknowledged job is in the store, and in the next term") {
  MemoryStore store;
  {
    App app(store);
    REQUIRE(app.submit("a").ok());
    CHECK(store.find_job("a").ok());
  }

  App next(store);

  const auto answer = next.query("a");
  REQUIRE(answer.ok());
  CHECK(std::get<v1::Job>(*answer).state() == v1::Job::QUEUED);
}

TEST_CASE("a failed commit ends the term: the caller hears that the outcome is unknown") {
  MemoryStore store;
  App app(store);
  REQUIRE(app.submit("before").ok());
  const auto kept =
      GENERATE(MemoryStore::Failure::kNothingKept, MemoryStore::Failure::kKeptButUnknown);
  store.fail_commit(1, kept);

  const auto answer = app.submit("during");
  CHECK(absl::IsUnavailable(answer.status()));
  app.ready();

  CHECK(app.query("before").ok());
  CHECK(app.query("during").ok() == (kept == MemoryStore::Failure::kKeptButUnknown));
  CHECK(app.submit("after").ok());
}

TEST_CASE("while the store cannot be loaded nothing is ready, and it recovers by itself") {
  MemoryStore store;
  App app(store);
  store.set_unreachable(true);
  store.fail_commit(1, MemoryStore::Failure::kNothingKept);

  CHECK(absl::IsUnavailable(app.submit("lost").status()));
  CHECK(absl::IsUnavailable((*app).readiness().status()));
  CHECK(absl::IsUnavailable(app.submit("refused").status()));
  store.set_unreachable(false);
  app.ready();

  CHECK(app.submit("after").ok());
  CHECK((*app).readiness().ok());
}

TEST_CASE("below the low-water mark of the disk no job is accepted") {
  MemoryStore store;
  App app(store);
  CHECK((*app).check_disk().ok());

  store.set_free_bytes(SchedulerConfig().store.min_free_bytes - 1);

  CHECK(absl::IsResourceExhausted((*app).check_disk()));
}

TEST_CASE("the end of the term answers calls that wait") {
  MemoryStore store;
  App app(store);
  REQUIRE(app.submit("a").ok());
  std::promise<absl::Status> ended;
  (*app).call([&ended](const absl::StatusOr<Answer>& answer) { ended.set_value(answer.status()); },
              [](Scheduler& scheduler, CallId call, Now now) {
                v1::WaitJobRequest request;
                request.set_job_id("a");
                return scheduler.wait(call, request, now);
              });

  (*app).retire();

  CHECK(absl::IsUnavailable(ended.get_future().get()));
}

TEST_CASE("a worker's answer that comes after the end is dropped") {
  MemoryStore store;
  const auto link = std::make_shared<LateLink>();
  auto app = std::make_unique<App>(store, link);
  app->add_worker();
  auto answer = link->wait_for_call_back();

  app.reset();
  answer(v1::WorkerIdentity());  // the address sanitizer sees what it should not touch

  CHECK(store.find_job("none").status().code() == absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace clusterd
