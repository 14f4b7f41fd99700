#include <catch2/catch.hpp>

#include "core/proto_time.h"
#include "support/cluster_of_fakes.h"

namespace clusterd {
namespace {

using std::chrono_literals::operator""s;

v1::HeldAttempt held(const std::string& job_id, bool started) {
  v1::HeldAttempt attempt;
  attempt.mutable_key()->set_job_id(job_id);
  attempt.mutable_key()->set_attempt(1);
  attempt.set_started(started);
  return attempt;
}

TEST_CASE("a worker is ALIVE once it has answered at its address") {
  ClusterOfFakes cluster;
  RegisterOrder order;
  order.request.set_name("w");
  order.request.mutable_capacity()->set_slots(1);
  order.fresh_worker_id = "id-of-w";
  order.fresh_sha256 = "digest";
  cluster.apply(cluster.scheduler.register_worker(900, order, cluster.now));
  CHECK(cluster.worker("w").state() == v1::Worker::UNREACHABLE);

  cluster.open_session("id-of-w");
  cluster.answer_call_back("id-of-w", false);
  CHECK(cluster.worker("w").state() == v1::Worker::UNREACHABLE);
  CHECK(cluster.worker("w").reason().find("connection refused") != std::string::npos);
  const size_t asked = cluster.call_backs.size();
  cluster.advance(1s);
  CHECK(cluster.call_backs.size() > asked);
  cluster.answer_call_back("id-of-w");

  CHECK(cluster.worker("w").state() == v1::Worker::ALIVE);
}

TEST_CASE("names are unique: an unset one gets a number, a configured one is refused") {
  ClusterOfFakes cluster;
  cluster.join("host", 1);
  RegisterOrder second;
  second.request.set_name("host");
  second.fresh_worker_id = "second";
  cluster.apply(cluster.scheduler.register_worker(900, second, cluster.now));
  CHECK(std::get<v1::RegisterWorkerResponse>(**cluster.reply(900)).name() == "host-2");

  second.fresh_worker_id = "third";
  second.request.set_name_is_configured(true);
  cluster.apply(cluster.scheduler.register_worker(901, second, cluster.now));
  CHECK(absl::IsAlreadyExists(cluster.reply(901)->status()));
}

TEST_CASE("a wrong secret is refused; another machine is, while the session lives") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  RegisterOrder order;
  order.request.set_name("w");
  order.request.mutable_identity()->set_worker_id(worker);

  order.presented_sha256 = "wrong";
  cluster.apply(cluster.scheduler.register_worker(900, order, cluster.now));
  CHECK(absl::IsPermissionDenied(cluster.reply(900)->status()));
  order.presented_sha256 = "digest";
  order.request.mutable_identity()->set_machine_id("another");
  cluster.apply(cluster.scheduler.register_worker(901, order, cluster.now));
  CHECK(absl::IsAlreadyExists(cluster.reply(901)->status()));
}

TEST_CASE("a newer session supersedes the older, whose close is ignored") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  const StreamId second = cluster.open_session(worker);
  cluster.answer_call_back(worker);
  REQUIRE(cluster.closed.size() == 1);
  CHECK(absl::IsAborted(cluster.closed[0].status));
  CHECK(cluster.closed[0].stream != second);

  cluster.apply(cluster.scheduler.session_closed(cluster.closed[0].stream, cluster.now));

  CHECK(cluster.worker("w").state() == v1::Worker::ALIVE);
}

TEST_CASE("a worker whose session closes is asked at once, and UNREACHABLE if it is gone") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  const StreamId stream = cluster.open_session(worker);
  cluster.answer_call_back(worker);
  const size_t asked = cluster.call_backs.size();

  cluster.apply(cluster.scheduler.session_closed(stream, cluster.now));
  CHECK(cluster.call_backs.size() == asked + 1);
  cluster.answer_call_back(worker, false);

  CHECK(cluster.worker("w").state() == v1::Worker::UNREACHABLE);
}

TEST_CASE("a silent worker becomes UNREACHABLE and its jobs say since when") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for("w"));
  cluster.say_started(worker, "job-1");
  CHECK_FALSE(cluster.query("job-1").has_unreachable_since());

  cluster.advance(14s);
  CHECK(cluster.worker("w").state() == v1::Worker::ALIVE);
  cluster.advance(2s);

  CHECK(cluster.worker("w").state() == v1::Worker::UNREACHABLE);
  CHECK(cluster.query("job-1").has_unreachable_since());
  CHECK(cluster.query("job-1").state() == v1::Job::RUNNING);
}

TEST_CASE("a scheduler that was asleep itself holds nobody to have been silent") {
  ClusterOfFakes cluster;
  cluster.join("w", 1);
  cluster.advance(1s);

  cluster.now.boot += 100s;  // no tick in between: the process was stopped
  cluster.apply(cluster.scheduler.tick(cluster.now));

  CHECK(cluster.worker("w").state() == v1::Worker::ALIVE);
  cluster.advance(16s);
  CHECK(cluster.worker("w").state() == v1::Worker::UNREACHABLE);
}

TEST_CASE("an attempt that the next session holds is adopted, ended ones end") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 3);
  for (int i = 0; i < 3; ++i) cluster.submit(spec_for());
  cluster.say_started(worker, "job-1");
  v1::HeldAttempt ended = held("job-3", true);
  ended.mutable_end()->set_reason(v1::JobEnd::EXITED);
  ended.mutable_end()->set_exit_code(37);

  cluster.open_session(worker, {held("job-1", true), held("job-2", true), ended});

  CHECK(cluster.query("job-1").state() == v1::Job::RUNNING);
  CHECK(cluster.query("job-2").state() == v1::Job::RUNNING);
  CHECK(cluster.query("job-3").end().exit_code() == 37);
  CHECK(cluster.dispatched.size() == 3);  // nothing is sent twice
}

TEST_CASE("an attempt that the same journal never saw is sent again, under the new session") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for());
  const Dispatch first = cluster.dispatched.at(0);

  cluster.open_session(worker);

  REQUIRE(cluster.dispatched.size() == 2);
  CHECK(cluster.dispatched[1].attempt.key().attempt() == 1);
  CHECK(cluster.dispatched[1].session > first.session);
}

TEST_CASE("a worker that comes back from a reboot ends its attempts LOST") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for());
  cluster.say_started(worker, "job-1");

  cluster.open_session(worker, {}, "another boot");

  CHECK(cluster.query("job-1").state() == v1::Job::LOST);
  CHECK(cluster.query("job-1").end().reason() == v1::JobEnd::WORKER_LOST);
  CHECK_FALSE(cluster.query("job-1").end().has_exit_code());
}

TEST_CASE("ends are acknowledged only after their commit, unknown attempts are fenced") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for());
  cluster.say_started(worker, "job-1");
  cluster.hold_commits();

  cluster.say_ended(worker, "job-1", 0);
  const auto acknowledgements = [&cluster] {
    return std::count_if(cluster.sent.begin(), cluster.sent.end(),
                         [](const SendDown& down) { return down.message.has_acknowledged(); });
  };
  CHECK(acknowledgements() == 0);
  cluster.release_commits();
  CHECK(acknowledgements() == 1);

  cluster.open_session(worker, {held("job-77", true)});
  CHECK(cluster.sent.back().message.has_fenced());
}

TEST_CASE("what waited for a removed worker ends once") {
  ClusterOfFakes cluster;
  cluster.join("w", 1);
  cluster.submit(spec_for("w"));
  cluster.submit(spec_for("w"));  // waits for room
  v1::JobSpec later = spec_for("w");
  later.add_after()->set_job_id("job-2");
  cluster.submit(later);
  cluster.advance(60s);
  REQUIRE(cluster.worker("w").state() == v1::Worker::UNREACHABLE);
  v1::RemoveWorkerRequest request;
  request.set_worker_id("w");

  cluster.apply(cluster.scheduler.remove(900, request, {}, cluster.now));

  CHECK(cluster.stored("job-2")->end().reason() == v1::JobEnd::START_FAILED);
  CHECK(cluster.stored("job-3")->end().reason() == v1::JobEnd::DEPENDENCY_FAILED);
}

TEST_CASE("a worker leaves when it holds nothing, and is OFFLINE while its jobs go on") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 1);
  cluster.submit(spec_for());
  cluster.say_started(worker, "job-1");
  v1::DeregisterWorkerRequest request;
  request.set_worker_id(worker);

  cluster.apply(cluster.scheduler.deregister_worker(900, request, "digest", cluster.now));
  CHECK(cluster.worker(worker).state() == v1::Worker::OFFLINE);
  const CallId refused = cluster.submit(spec_for("w"));
  CHECK(absl::IsUnavailable(cluster.reply(refused)->status()));

  const std::string idle = cluster.join("idle", 1);
  request.set_worker_id(idle);
  request.set_leaving(true);
  cluster.apply(cluster.scheduler.deregister_worker(901, request, "digest", cluster.now));
  CHECK(cluster.worker(idle).state() == v1::Worker::LEFT);
  const CallId unknown = cluster.submit(spec_for("idle"));
  CHECK(absl::IsNotFound(cluster.reply(unknown)->status()));
}

TEST_CASE("a worker that left is remembered for as long as ended jobs are, and no longer") {
  ClusterOfFakes cluster;
  const std::string worker = cluster.join("w", 2);
  v1::DeregisterWorkerRequest leave;
  leave.set_worker_id(worker);
  leave.set_leaving(true);
  cluster.apply(cluster.scheduler.deregister_worker(900, leave, "digest", cluster.now));
  const auto is_known = [&cluster, &worker] {
    v1::GetWorkerRequest request;
    request.set_worker_id(worker);
    const CallId call = cluster.next_call++;
    cluster.apply(cluster.scheduler.get_worker(call, request));
    return cluster.reply(call)->ok();
  };

  cluster.advance(std::chrono::hours(167));
  CHECK(is_known());
  cluster.advance(std::chrono::hours(2));
  CHECK_FALSE(is_known());
  CHECK(cluster.store.begin_term()->workers.empty());

  RegisterOrder again;  // with the identity that it has kept
  again.request.set_name("w");
  again.request.set_address("w:1");
  again.request.mutable_capacity()->set_slots(2);
  again.request.mutable_identity()->set_worker_id(worker);
  again.presented_sha256 = "digest";
  cluster.apply(cluster.scheduler.register_worker(901, again, cluster.now));
  REQUIRE(cluster.reply(901)->ok());
  CHECK(is_known());
}

TEST_CASE("a new term knows its jobs and gives their workers time to come back") {
  ClusterOfFakes before;
  const std::string worker = before.join("w", 2);
  before.submit(spec_for("w"));
  before.say_started(worker, "job-1");
  internal::WorkerRecord record;
  *record.mutable_worker() = before.worker("w");
  record.mutable_worker()->set_state(v1::Worker::ALIVE);
  record.set_secret_sha256("digest");
  record.mutable_identity()->set_boot_id("boot");
  record.mutable_identity()->set_journal_id("journal");

  ClusterOfFakes after({}, {*before.stored("job-1")}, {record});
  CHECK(after.query("job-1").state() == v1::Job::RUNNING);
  CHECK(after.worker("w").in_use().slots() == 1);
  const CallId call = after.submit(spec_for("w"));
  CHECK(after.job_reply(call).state() == v1::Job::QUEUED);
  CHECK(after.job_reply(call).seq() == 2);
  after.open_session(worker, {held("job-1", true)});
  after.answer_call_back(worker);

  CHECK(after.dispatched.size() == 1);
  CHECK(after.query("job-1").state() == v1::Job::RUNNING);
}

TEST_CASE("a schedule for workers that may still come back after a start waits for them") {
  ClusterOfFakes before;
  const std::string worker = before.join("w", 1);
  v1::Schedule schedule;
  schedule.set_name("everywhere");
  schedule.set_cron("* * * * *");
  *schedule.mutable_update_time() = to_proto(before.now.wall - std::chrono::minutes(1));
  *schedule.mutable_spec() = spec_for();
  schedule.mutable_spec()->mutable_resources()->set_every_worker(true);
  const bool comes_back = GENERATE(true, false);

  ClusterOfFakes after({}, {}, before.store.workers(), {schedule});
  after.advance(1s);
  CHECK(after.store.schedules().at("everywhere").runs() +
            after.store.schedules().at("everywhere").skipped() ==
        0);
  if (comes_back) {
    after.open_session(worker);
    after.answer_call_back(worker);
  }
  after.advance(comes_back ? 1s : 20s);

  CHECK(after.store.schedules().at("everywhere").runs() == (comes_back ? 1 : 0));
  CHECK(after.store.schedules().at("everywhere").skipped() == (comes_back ? 0 : 1));
}

}  // namespace
}  // namespace clusterd
