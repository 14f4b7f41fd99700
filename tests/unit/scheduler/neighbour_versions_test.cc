// Workers and records of neighbouring versions: what an older build said, from tests/recorded, and
// fields that only a newer one knows.
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "support/cluster_of_fakes.h"
#include "support/recorded_messages.h"

namespace clusterd {
namespace {

using v1::Job;

constexpr const char* kRecording = "messages_before_queue.txt";
constexpr int kFieldOfTheFuture = 1000;
constexpr StreamId kStream = 7;

void add_future_field(google::protobuf::Message& message) {
  message.GetReflection()->MutableUnknownFields(&message)->AddVarint(kFieldOfTheFuture, 42);
}

bool has_future_field(const google::protobuf::Message& message) {
  const auto& unknown = message.GetReflection()->GetUnknownFields(message);
  return unknown.field_count() == 1 && unknown.field(0).number() == kFieldOfTheFuture &&
         unknown.field(0).varint() == 42;
}

// The recorded worker, up to its session; its messages are sent as of the present session.
class OlderWorker {
 public:
  explicit OlderWorker(ClusterOfFakes& cluster) : cluster_(cluster) {
    RegisterOrder order;
    order.request = recorded<v1::RegisterWorkerRequest>(kRecording).front();
    order.fresh_worker_id = hello().identity().worker_id();
    order.fresh_sha256 = "digest";
    cluster_.apply(cluster_.scheduler.register_worker(cluster_.next_call++, order, cluster_.now));
    open();
  }

  // The recorded greeting with the inventory of this number of attempts.
  v1::SessionHello hello(int held = 0) const {
    for (const auto& message : messages_) {
      if (message.has_hello() && message.hello().inventory_size() == held) return message.hello();
    }
    throw std::runtime_error("no such greeting");
  }

  void open(int held = 0) {
    cluster_.apply(
        cluster_.scheduler.session_hello(kStream + held, hello(held), "digest", cluster_.now));
    stream_ = kStream + held;
    for (const SendDown& down : cluster_.sent) {
      if (down.stream == stream_ && down.message.has_welcome()) {
        session_ = down.message.welcome().session();
      }
    }
    cluster_.apply(
        cluster_.scheduler.called_back(id(), session_, hello(held).identity(), cluster_.now));
  }

  // Sends the event of this kind that was recorded for the job.
  void send(const std::string& job_id, v1::JobEvent::EventCase kind) {
    for (v1::SessionRequest message : messages_) {
      const auto& events = message.events().events();
      const bool is_it = std::any_of(events.begin(), events.end(), [&](const auto& event) {
        return event.key().job_id() == job_id && event.event_case() == kind;
      });
      if (!is_it) continue;
      message.set_epoch(cluster_.scheduler.epoch());
      message.set_session(session_);
      cluster_.apply(cluster_.scheduler.session_message(stream_, message, cluster_.now));
      return;
    }
    FAIL("nothing was recorded of job " << job_id);
  }

  // Its recorded answer to the order that was just sent.
  void accept(const Dispatch& order) {
    for (const auto& answer : recorded<v1::StartJobsResponse>(kRecording)) {
      if (answer.verdicts(0).key().job_id() != order.attempt.key().job_id()) continue;
      cluster_.apply(cluster_.scheduler.start_answered(id(), session_, {order.attempt.key()},
                                                       answer, cluster_.now));
    }
  }

  std::string id() const { return hello().identity().worker_id(); }

 private:
  ClusterOfFakes& cluster_;
  std::vector<v1::SessionRequest> messages_ = recorded<v1::SessionRequest>(kRecording);
  StreamId stream_ = 0;
  uint64_t session_ = 0;
};

// Job ids as they were recorded.
std::string recorded_job(size_t number) {
  return recorded<v1::StartJobsRequest>(kRecording).at(number).attempts(0).key().job_id();
}

void submit(ClusterOfFakes& cluster, const std::string& job_id, const v1::JobSpec& spec) {
  SubmitOrder order{.job_id = job_id, .spec = spec};
  cluster.apply(cluster.scheduler.submit(cluster.next_call++, std::move(order), cluster.now));
}

TEST_CASE("a worker of the build before the queue joins and runs jobs to their end") {
  ClusterOfFakes cluster;
  OlderWorker older(cluster);
  REQUIRE(cluster.worker("w1").state() == v1::Worker::ALIVE);
  const std::string job_id = recorded_job(0);

  submit(cluster, job_id, spec_for());
  REQUIRE(cluster.dispatched.size() == 1);
  older.accept(cluster.dispatched[0]);
  older.send(job_id, v1::JobEvent::kStarted);
  CHECK(cluster.query(job_id).state() == Job::RUNNING);
  older.send(job_id, v1::JobEvent::kEnded);

  const Job job = cluster.query(job_id);
  CHECK(job.state() == Job::SUCCEEDED);
  CHECK(job.attempts(0).worker_id() == older.id());
  const auto& last = cluster.sent.back().message;
  REQUIRE(last.acknowledged().keys_size() == 1);
  CHECK(last.acknowledged().keys(0).job_id() == job_id);
}

TEST_CASE("attempts that a worker of an older build holds are adopted") {
  ClusterOfFakes cluster;
  OlderWorker older(cluster);
  const std::string job_id = recorded_job(2);  // its worker was killed while it ran
  submit(cluster, job_id, spec_for());
  REQUIRE(cluster.dispatched.size() == 1);

  older.open(1);

  CHECK(cluster.query(job_id).state() == Job::RUNNING);
  older.send(job_id, v1::JobEvent::kEnded);
  CHECK(cluster.query(job_id).state() == Job::SUCCEEDED);
}

TEST_CASE("a worker that does not know an order is not sent it") {
  ClusterOfFakes cluster;
  OlderWorker older(cluster);
  const std::string job_id = recorded_job(1);  // exits with 7, told in one message with its start
  submit(cluster, job_id, spec_for());
  older.accept(cluster.dispatched[0]);
  older.send(job_id, v1::JobEvent::kEnded);
  CHECK(cluster.query(job_id).end().exit_code() == 7);
  v1::DeleteJobRequest request;
  request.set_job_id(job_id);

  cluster.apply(cluster.scheduler.erase(cluster.next_call++, request, {}, cluster.now));
  cluster.advance(std::chrono::minutes(5));

  CHECK(absl::IsNotFound(cluster.query_status(job_id)));
  CHECK(cluster.store.find_doomed(older.id(), 10)->size() == 1);  // for when it is upgraded
  CHECK(std::none_of(cluster.sent.begin(), cluster.sent.end(),
                     [](const SendDown& down) { return down.message.has_delete_outputs(); }));
}

TEST_CASE("fields that only a newer build knows stay in records and reach workers") {
  Job stored;
  stored.set_job_id("job-1");
  stored.set_seq(1);
  stored.set_state(Job::QUEUED);
  *stored.mutable_spec() = spec_for();
  add_future_field(stored);
  add_future_field(*stored.mutable_spec());
  internal::WorkerRecord record;
  record.mutable_worker()->set_worker_id("id-of-w1");
  record.set_secret_sha256("digest");
  add_future_field(record);
  ClusterOfFakes cluster({}, {stored}, {record});

  cluster.open_session("id-of-w1");
  cluster.join("w2", 1);
  REQUIRE(cluster.dispatched.size() == 1);
  CHECK(has_future_field(cluster.dispatched[0].attempt.spec()));
  const std::string worker = cluster.dispatched[0].worker_id;
  cluster.say_started(worker, "job-1");
  cluster.say_ended(worker, "job-1", 0);

  const Job ended = cluster.stored("job-1").value();
  CHECK(ended.state() == Job::SUCCEEDED);
  CHECK(has_future_field(ended));
  CHECK(has_future_field(ended.spec()));
  const auto workers = cluster.store.begin_term()->workers;
  CHECK(std::any_of(workers.begin(), workers.end(), [](const internal::WorkerRecord& kept) {
    return kept.worker().worker_id() == "id-of-w1" && has_future_field(kept);
  }));
}

}  // namespace
}  // namespace clusterd
