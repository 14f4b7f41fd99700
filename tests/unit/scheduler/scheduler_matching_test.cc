#include <catch2/catch.hpp>
#include <set>

#include "core/field_error.h"
#include "core/proto_time.h"
#include "scheduler/job_selection_check.h"
#include "scheduler/look_up.h"
#include "support/cluster_of_fakes.h"

namespace clusterd {
namespace {

v1::JobSpec labelled(const std::string& team) {
  v1::JobSpec spec = spec_for();
  (*spec.mutable_labels())["team"] = team;
  return spec;
}

v1::StopMatchingJobsRequest stop_of(const std::string& label, bool dry_run = false) {
  v1::StopMatchingJobsRequest request;
  request.mutable_selection()->add_label(label);
  request.set_dry_run(dry_run);
  request.set_reason("over");
  return request;
}

v1::RetryMatchingJobsRequest retry_of(const std::string& label) {
  v1::RetryMatchingJobsRequest request;
  request.mutable_selection()->add_label(label);
  return request;
}

v1::MatchingJobsResponse answer_of(const ClusterOfFakes& cluster, CallId call) {
  const auto* answer = cluster.reply(call);
  REQUIRE(answer != nullptr);
  INFO(answer->status().ToString());
  REQUIRE(answer->ok());
  return std::get<v1::MatchingJobsResponse>(**answer);
}

CallId stop(ClusterOfFakes& cluster, const v1::StopMatchingJobsRequest& request,
            const RequestKey& key = {}) {
  const CallId call = cluster.next_call++;
  cluster.apply(cluster.scheduler.stop_matching(call, request, "me", key, cluster.now));
  return call;
}

CallId retry(ClusterOfFakes& cluster, const v1::RetryMatchingJobsRequest& request,
             const RequestKey& key = {}) {
  const CallId call = cluster.next_call++;
  cluster.apply(cluster.scheduler.retry_matching(call, request, key, cluster.now));
  return call;
}

using Ids = std::vector<std::string>;
Ids ids_of(const v1::MatchingJobsResponse& answer) {
  return {answer.job_ids().begin(), answer.job_ids().end()};
}

TEST_CASE("all jobs with a label are stopped, whatever their state", "[matching]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(labelled("a"));
  cluster.submit(labelled("b"));
  cluster.submit(labelled("a"));
  cluster.say_started(worker, "job-1");

  const auto would = answer_of(cluster, stop(cluster, stop_of("team=a", true)));
  CHECK(would.count() == 2);
  CHECK(ids_of(would) == Ids{"job-3", "job-1"});
  CHECK(cluster.query("job-3").state() == v1::Job::QUEUED);
  CHECK(cluster.stops.empty());

  const auto did = answer_of(cluster, stop(cluster, stop_of("team=a")));
  CHECK(ids_of(did) == Ids{"job-3", "job-1"});
  CHECK(cluster.query("job-3").state() == v1::Job::STOPPED);
  CHECK(cluster.query("job-2").state() == v1::Job::QUEUED);
  REQUIRE(cluster.stops.size() == 1);
  CHECK(cluster.stops[0].key.job_id() == "job-1");
  const v1::Job running = cluster.query("job-1");
  CHECK(running.stop_requested().who() == "me");
  CHECK(running.stop_requested().reason() == "over");

  CHECK(answer_of(cluster, stop(cluster, stop_of("team=a"))).count() == 0);  // asked already
}

TEST_CASE("an array is stopped as one, and whole", "[matching]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  v1::JobSpec spec = labelled("a");
  spec.mutable_array()->set_to(9);
  cluster.submit(spec);
  cluster.say_started(worker, "job-1.0");

  const auto did = answer_of(cluster, stop(cluster, stop_of("team=a")));

  CHECK(ids_of(did) == Ids{"job-1"});
  REQUIRE(cluster.stops.size() == 1);
  CHECK(cluster.stops[0].key.job_id() == "job-1.0");
}

TEST_CASE("many jobs are stopped a page and a commit at a time", "[matching]") {
  ClusterOfFakes cluster;
  for (int i = 0; i < 2'500; ++i) cluster.submit(labelled("a"));
  Decision decision = cluster.scheduler.stop_matching(cluster.next_call++, stop_of("team=a"), "me",
                                                      {}, cluster.now);
  std::vector<size_t> pages;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(decision.effects.size() == 1);
    const auto question = std::get<FindMatching>(decision.effects[0]);
    decision =
        cluster.scheduler.matched(question.id, find_matching(cluster.store, question), cluster.now);
    pages.push_back(decision.persist.put_jobs.size());
    REQUIRE(cluster.store.commit({&decision.persist, 1}).ok());
  }

  CHECK(pages == std::vector<size_t>{1'000, 1'000, 500});
  REQUIRE(decision.effects.size() == 1);
  const auto answer =
      std::get<v1::MatchingJobsResponse>(*std::get<Reply>(decision.effects[0]).answer);
  CHECK(answer.count() == 2'500);
  CHECK(answer.job_ids_size() == 1'000);
  CHECK(decision.after > 0);  // answered once the last page is durable
}

TEST_CASE("what failed is retried by its label, of arrays what did not succeed", "[matching]") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 4);
  const auto run = [&](const std::string& id, int exit_code) {
    cluster.say_started(worker, id);
    cluster.say_ended(worker, id, exit_code);
  };
  cluster.submit(labelled("a"));  // fails
  cluster.submit(labelled("a"));  // succeeds
  cluster.submit(labelled("b"));  // fails
  for (const auto& [id, code] : {std::pair{"job-1", 1}, {"job-2", 0}, {"job-3", 1}}) run(id, code);
  v1::JobSpec array = labelled("a");
  array.mutable_array()->set_to(1);
  cluster.submit(array);
  run("job-4.0", 0);
  run("job-4.1", 1);
  REQUIRE(cluster.query("job-4").state() == v1::Job::FAILED);
  cluster.submit(labelled("a"));
  cluster.stop("job-5");
  v1::JobEvent stopped;
  stopped.mutable_key()->set_job_id("job-5");
  stopped.mutable_key()->set_attempt(1);
  stopped.mutable_ended()->set_reason(v1::JobEnd::STOP_REQUESTED);
  cluster.send_event(worker, stopped);
  const size_t before = cluster.dispatched.size();

  v1::RetryMatchingJobsRequest request = retry_of("team=a");
  request.set_dry_run(true);
  CHECK(ids_of(answer_of(cluster, retry(cluster, request))) == Ids{"job-4", "job-1"});
  CHECK(cluster.dispatched.size() == before);
  request.set_dry_run(false);
  CHECK(ids_of(answer_of(cluster, retry(cluster, request))) == Ids{"job-4", "job-1"});

  std::set<std::string> started;
  for (size_t i = before; i < cluster.dispatched.size(); ++i) {
    started.insert(cluster.dispatched[i].attempt.key().job_id());
  }
  CHECK(started == std::set<std::string>{"job-1", "job-4.1"});
  CHECK(cluster.query("job-2").state() == v1::Job::SUCCEEDED);
  CHECK(cluster.query("job-3").state() == v1::Job::FAILED);
  CHECK(cluster.query("job-5").state() == v1::Job::STOPPED);
}

TEST_CASE("a full queue ends a retry of many and says how far it came", "[matching]") {
  SchedulerConfig::Scheduling scheduling;
  scheduling.max_queued = 3;
  ClusterOfFakes cluster(scheduling);
  const std::string worker = cluster.join("w", 3);
  for (int i = 1; i <= 3; ++i) cluster.submit(labelled("a"));
  for (int i = 1; i <= 3; ++i) {
    cluster.say_started(worker, "job-" + std::to_string(i));
    cluster.say_ended(worker, "job-" + std::to_string(i), 1);
  }
  v1::DrainWorkerRequest drain;
  drain.set_worker_id("w");
  cluster.apply(cluster.scheduler.drain(cluster.next_call++, drain, {}, cluster.now));
  cluster.submit(labelled("b"));

  const CallId call = retry(cluster, retry_of("team=a"));

  const absl::Status status = cluster.reply(call)->status();
  CHECK(absl::IsResourceExhausted(status));
  CHECK_THAT(std::string(status.message()), Catch::Contains("2 jobs were retried"));
  CHECK(retry_delay_of(status));
}

TEST_CASE("a call about many jobs that is repeated gives the first answer", "[matching]") {
  ClusterOfFakes cluster;
  cluster.submit(labelled("a"));
  cluster.submit(labelled("a"));
  const RequestKey key{"k", "digest"};

  const auto first = answer_of(cluster, stop(cluster, stop_of("team=a"), key));
  cluster.submit(labelled("a"));
  const auto again = answer_of(cluster, stop(cluster, stop_of("team=a"), key));
  const CallId other = stop(cluster, stop_of("team=b"), {"k", "another digest"});

  CHECK(first.count() == 2);
  CHECK(again.count() == 2);
  CHECK(ids_of(again) == ids_of(first));
  CHECK(cluster.query("job-3").state() == v1::Job::QUEUED);
  CHECK(absl::IsAlreadyExists(cluster.reply(other)->status()));
  CHECK_THAT(std::string(cluster.reply(other)->status().message()), Catch::EndsWith("2 jobs"));
}

TEST_CASE("a repetition that comes while the first is under way waits for it", "[matching]") {
  ClusterOfFakes cluster;
  cluster.submit(labelled("a"));
  const RequestKey key{"k", "digest"};
  // Both have asked the store for the key before either has begun.
  Decision first = cluster.scheduler.stop_matching(101, stop_of("team=a"), "me", key, cluster.now);
  Decision second = cluster.scheduler.stop_matching(102, stop_of("team=a"), "me", key, cluster.now);
  const auto begun = [&cluster](const Decision& decision) {
    const auto question = std::get<LookUp>(decision.effects[0]);
    return cluster.scheduler.looked_up(question.id, look_up(cluster.store, question), cluster.now);
  };
  Decision page = begun(first);
  cluster.apply(begun(second));
  CHECK(cluster.reply(102) == nullptr);
  cluster.apply(std::move(page));

  CHECK(answer_of(cluster, 101).count() == 1);
  CHECK(answer_of(cluster, 102).count() == 1);
}

TEST_CASE("a selection names something, and states that the call can do something with",
          "[matching]") {
  const auto fault = [](const v1::JobSelection& selection, GroupAction action) {
    return field_of(check_selection(selection, action));
  };
  v1::JobSelection selection;
  CHECK(fault(selection, GroupAction::kStop) == "selection");
  selection.add_state(v1::Job::QUEUED);
  CHECK(fault(selection, GroupAction::kStop) == "selection");
  selection.set_name("n");
  CHECK(check_selection(selection, GroupAction::kStop).ok());
  CHECK(fault(selection, GroupAction::kRetry) == "selection.state");
  selection.set_state(0, v1::Job::STOPPED);
  CHECK(check_selection(selection, GroupAction::kRetry).ok());
  CHECK(fault(selection, GroupAction::kStop) == "selection.state");
  selection.set_state(0, v1::Job::SUCCEEDED);
  CHECK(fault(selection, GroupAction::kRetry) == "selection.state");
  selection.clear_state();
  selection.add_label("=x");
  CHECK(fault(selection, GroupAction::kStop) == "selection.label");
}

TEST_CASE("an unknown worker is NOT_FOUND to a call about many jobs", "[matching]") {
  ClusterOfFakes cluster;
  v1::StopMatchingJobsRequest request;
  request.mutable_selection()->set_worker_id("nobody");

  CHECK(absl::IsNotFound(cluster.reply(stop(cluster, request))->status()));
}

}  // namespace
}  // namespace clusterd
