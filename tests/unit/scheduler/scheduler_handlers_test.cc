// Handlers: jobs go to programs that offer them, no more at a time than they say, and tell how far
// they are.
#include <catch2/catch.hpp>

#include "core/field_error.h"
#include "support/cluster_of_fakes.h"

namespace clusterd {
namespace {

v1::Handler handler_of(const std::string& name, uint32_t max_concurrent = 0) {
  v1::Handler handler;
  handler.set_name(name);
  handler.set_max_concurrent(max_concurrent);
  return handler;
}

v1::JobSpec job_of(const std::string& handler, const std::string& worker = "") {
  v1::JobSpec spec;
  spec.set_handler(handler);
  spec.set_worker_id(worker);
  return spec;
}

void say_progress(ClusterOfFakes& cluster, const std::string& worker, const std::string& job_id,
                  uint64_t done, const std::string& message = "") {
  v1::JobEvent event;
  event.mutable_key()->set_job_id(job_id);
  event.mutable_key()->set_attempt(1);
  event.mutable_progress()->set_done(done);
  event.mutable_progress()->set_total(100);
  event.mutable_progress()->set_message(message);
  cluster.send_event(worker, event);
}

}  // namespace

TEST_CASE("a handler's job waits for a worker that offers it, and gets no other", "[handlers]") {
  ClusterOfFakes cluster;
  cluster.join("scripts", 4);
  cluster.handlers = {handler_of("other")};
  cluster.join("others", 4);
  cluster.submit(job_of("thumbnail"));

  CHECK(cluster.query("job-1").pending_reason() ==
        "no worker that takes jobs offers handler thumbnail");
  CHECK(cluster.dispatched.empty());

  cluster.handlers = {handler_of("other"), handler_of("thumbnail")};
  const std::string offers = cluster.join("offers", 1);

  CHECK(cluster.query("job-1").worker_id() == offers);
  CHECK(cluster.dispatched.at(0).attempt.spec().handler() == "thumbnail");
}

TEST_CASE("a program gets no scripts", "[handlers]") {
  ClusterOfFakes cluster;
  cluster.handlers = {handler_of("thumbnail")};
  cluster.join("program", 4);
  cluster.submit(spec_for());

  CHECK(cluster.query("job-1").state() == v1::Job::QUEUED);
  CHECK(cluster.query("job-1").pending_reason() ==
        "no worker that takes jobs runs others than those of its handlers");
  const absl::Status refused = cluster.reply(cluster.submit(spec_for("program")))->status();
  CHECK(absl::IsInvalidArgument(refused));
  CHECK(field_of(refused) == "handler");
}

TEST_CASE("no more of a handler run than it says, and others have the room", "[handlers]") {
  ClusterOfFakes cluster;
  cluster.handlers = {handler_of("narrow", 2), handler_of("wide")};
  const std::string worker = cluster.join("program", 8);
  for (int i = 0; i < 3; ++i) cluster.submit(job_of("narrow"));
  cluster.submit(job_of("wide"));

  CHECK(cluster.query("job-3").state() == v1::Job::QUEUED);
  CHECK(cluster.query("job-4").state() == v1::Job::STARTING);
  CHECK(cluster.worker(worker).handlers(0).running() == 2);

  cluster.say_started(worker, "job-1");
  cluster.say_ended(worker, "job-1", 0);

  CHECK(cluster.query("job-3").state() == v1::Job::STARTING);
  CHECK(cluster.worker(worker).handlers(0).running() == 2);
  CHECK(cluster.worker(worker).handlers(1).running() == 1);
}

TEST_CASE("a program that registers anew offers what it says now; what runs is counted",
          "[handlers]") {
  ClusterOfFakes cluster;
  cluster.handlers = {handler_of("narrow", 2)};
  const std::string worker = cluster.join("program", 8);
  cluster.submit(job_of("narrow"));
  cluster.say_started(worker, "job-1");
  v1::HeldAttempt held;
  held.mutable_key()->set_job_id("job-1");
  held.mutable_key()->set_attempt(1);
  held.set_started(true);

  cluster.handlers = {handler_of("narrow", 1), handler_of("new")};
  cluster.join("program", 8);
  cluster.open_session(worker, {held});
  cluster.answer_call_back(worker);
  cluster.submit(job_of("new"));

  REQUIRE(cluster.worker(worker).handlers_size() == 2);
  CHECK(cluster.query("job-2").state() == v1::Job::STARTING);
}

TEST_CASE("handlers that a worker cannot mean are refused by name", "[handlers]") {
  ClusterOfFakes cluster;
  RegisterOrder order;
  order.request.set_name("program");
  order.fresh_worker_id = "id";
  order.request.add_handlers()->set_name("same");
  order.request.add_handlers()->set_name("same");
  const CallId call = cluster.next_call++;

  cluster.apply(cluster.scheduler.register_worker(call, order, cluster.now));

  CHECK(absl::IsInvalidArgument(cluster.reply(call)->status()));
  CHECK(field_of(cluster.reply(call)->status()) == "handlers[1].name");
}

TEST_CASE("progress is the newest, in memory, and stays with the end", "[handlers]") {
  ClusterOfFakes cluster;
  cluster.handlers = {handler_of("thumbnail")};
  const std::string worker = cluster.join("program", 8);
  cluster.submit(job_of("thumbnail"));
  say_progress(cluster, worker, "job-1", 1);
  CHECK_FALSE(cluster.query("job-1").has_progress());  // it does not run yet
  cluster.say_started(worker, "job-1");

  say_progress(cluster, worker, "job-1", 5);
  say_progress(cluster, worker, "job-1", 7, std::string(255, 'x') + "\u00e4\u00e4");

  CHECK(cluster.query("job-1").progress().done() == 7);
  CHECK(cluster.query("job-1").progress().message() == std::string(255, 'x'));
  CHECK(cluster.query("job-1").suspended() == false);
  CHECK_FALSE(cluster.stored("job-1")->has_progress());
  v1::ListJobsResponse page;
  *page.add_jobs() = *cluster.stored("job-1");
  cluster.scheduler.show_progress(page);
  CHECK(page.jobs(0).progress().done() == 7);

  cluster.say_ended(worker, "job-1", 0);

  CHECK(cluster.query("job-1").state() == v1::Job::SUCCEEDED);
  CHECK(cluster.stored("job-1")->progress().done() == 7);
}

TEST_CASE("another attempt begins without progress", "[handlers]") {
  ClusterOfFakes cluster;
  cluster.handlers = {handler_of("thumbnail")};
  const std::string worker = cluster.join("program", 8);
  v1::JobSpec spec = job_of("thumbnail");
  spec.mutable_retry()->set_max_attempts(2);
  spec.mutable_retry()->add_on(v1::RetryPolicy::FAILURE);
  cluster.submit(spec);
  cluster.say_started(worker, "job-1");
  say_progress(cluster, worker, "job-1", 5);
  cluster.say_ended(worker, "job-1", 1);

  cluster.advance(std::chrono::seconds(10));

  CHECK(cluster.query("job-1").attempt() == 2);
  CHECK_FALSE(cluster.query("job-1").has_progress());
}

TEST_CASE("a handler's job has no process that could be signalled", "[handlers]") {
  ClusterOfFakes cluster;
  cluster.handlers = {handler_of("thumbnail")};
  const std::string worker = cluster.join("program", 8);
  cluster.submit(job_of("thumbnail"));
  cluster.say_started(worker, "job-1");
  v1::SignalJobRequest request;
  request.set_job_id("job-1");
  const CallId call = cluster.next_call++;

  cluster.apply(cluster.scheduler.signal(call, request, 10, {}, cluster.now));

  CHECK(absl::IsFailedPrecondition(cluster.reply(call)->status()));
}

}  // namespace clusterd
