// What EtcdStore makes of an etcd that does not answer, is full, or has another leader.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <string>
#include <thread>

#include "clusterd/internal/etcd_records.pb.h"
#include "etcd/rpc.grpc.pb.h"
#include "store/etcd_loader.h"
#include "store/etcd_writer.h"
#include "support/cutting_proxy.h"
#include "support/etcd_store_fixture.h"
#include "unit/store/sample_records.h"

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using testing::become_leader;
using testing::CuttingProxy;
using testing::delete_key;
using testing::EtcdServer;
using testing::InEtcd;
using testing::make_client;
using testing::new_prefix;
using testing::put_key;
using testing::shared_etcd;
using v1::Job;

std::string counter_of(EtcdClient& client, const std::string& prefix) {
  const auto counter = client.get(prefix + "commits", {});
  REQUIRE(counter.ok());
  return counter->value();
}

// Commits on a thread of its own.
std::future<absl::Status> commit_beside(Store& store, uint64_t seq) {
  return std::async(std::launch::async, [&store, seq] {
    const StoreBatch batch = batch_of(sample_job(seq, Job::QUEUED));
    return store.commit({&batch, 1});
  });
}

bool has_key(EtcdClient& client, const std::string& key) { return client.get(key, {}).ok(); }

// Passes calls on to an etcd, and says once of a transaction that was done that there is no space:
// what etcd does where its room ends between the check and the write.
class FullOnceDone final : public etcdserverpb::KV::Service {
 public:
  explicit FullOnceDone(const EtcdServer& etcd)
      : etcd_(etcdserverpb::KV::NewStub(
            grpc::CreateChannel(etcd.endpoint(), grpc::InsecureChannelCredentials()))) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }

  [[nodiscard]] std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
  void lie_once() { lies_ = true; }

  grpc::Status Range(grpc::ServerContext* /*context*/, const etcdserverpb::RangeRequest* request,
                     etcdserverpb::RangeResponse* answer) override {
    grpc::ClientContext onward;
    return etcd_->Range(&onward, *request, answer);
  }
  grpc::Status Txn(grpc::ServerContext* /*context*/, const etcdserverpb::TxnRequest* request,
                   etcdserverpb::TxnResponse* answer) override {
    grpc::ClientContext onward;
    grpc::Status status = etcd_->Txn(&onward, *request, answer);
    if (!lies_.exchange(false)) return status;
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"};
  }

 private:
  std::unique_ptr<etcdserverpb::KV::Stub> etcd_;
  std::atomic<bool> lies_ = false;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

TEST_CASE("a commit whose answer is lost is found to be done, and is done once", "[etcd]") {
  EtcdServer& server = shared_etcd();
  CuttingProxy proxy(server.endpoint());
  auto settings = server.settings();
  const auto direct = make_client(settings);
  settings.endpoints = {proxy.endpoint()};
  const auto through_proxy = make_client(settings);
  const SystemClock clock;
  const std::string prefix = new_prefix();
  EtcdStore store(*through_proxy, clock, {.prefix = prefix, .patience = 30s});
  store.set_leader(become_leader(*direct, prefix));
  REQUIRE(store.begin_term().ok());
  const int before = std::stoi(counter_of(*direct, prefix));

  proxy.lose_answers();
  auto committed = commit_beside(store, 1);
  while (!has_key(*direct, prefix + "jobs/job-1")) std::this_thread::sleep_for(5ms);
  CHECK(committed.wait_for(0s) == std::future_status::timeout);
  proxy.mend();

  CHECK(committed.get().ok());
  CHECK(std::stoi(counter_of(*direct, prefix)) == before + 1);
  CHECK(direct->get(prefix + "jobs/job-1", {})->version() == 1);
  CHECK(commit_beside(store, 2).get().ok());
}

TEST_CASE("a commit is done when an etcd that was stopped goes on", "[etcd]") {
  EtcdServer server;
  InEtcd held(server, {.prefix = new_prefix(), .patience = 30s});
  REQUIRE((*held).begin_term().ok());

  server.pause();
  auto committed = commit_beside(*held, 1);
  CHECK(committed.wait_for(4s) == std::future_status::timeout);  // longer than one attempt
  server.resume();

  CHECK(committed.get().ok());
  CHECK((*held).find_job("job-1").ok());
  CHECK(held.client->get(held.options.prefix + "jobs/job-1", {})->version() == 1);
}

TEST_CASE("a commit survives the death of etcd, and what was committed before does", "[etcd]") {
  EtcdServer server({.syncs = true});
  InEtcd held(server, {.prefix = new_prefix(), .patience = 60s});
  REQUIRE((*held).begin_term().ok());
  REQUIRE(commit_beside(*held, 1).get().ok());

  server.kill();
  auto committed = commit_beside(*held, 2);
  CHECK(committed.wait_for(500ms) == std::future_status::timeout);
  server.start();

  CHECK(committed.get().ok());
  const auto contents = (*held).begin_term();
  REQUIRE(contents.ok());
  CHECK(contents->live_jobs.size() == 2);
}

TEST_CASE("a commit that nobody answers is of unknown outcome, and cannot be done later",
          "[etcd]") {
  EtcdServer server;
  InEtcd held(server, {.prefix = new_prefix(), .patience = 1s});
  REQUIRE((*held).begin_term().ok());

  server.pause();
  const absl::Status status = commit_beside(*held, 1).get();
  server.resume();

  CHECK(absl::IsUnavailable(status));
  CHECK(std::string(status.message()).find("unknown") != std::string::npos);
  auto contents = (*held).begin_term();
  while (absl::IsUnavailable(contents.status())) contents = (*held).begin_term();
  REQUIRE(contents.ok());
  // Whether it was done or not is settled by now.
  const bool is_done = contents->live_jobs.size() == 1;
  REQUIRE(commit_beside(*held, 2).get().ok());
  CHECK((*held).find_job("job-1").ok() == is_done);
}

TEST_CASE("who is not the leader any more writes nothing", "[etcd]") {
  InEtcd held;
  const std::string prefix = held.options.prefix;
  const auto first = (*held).begin_term();
  REQUIRE(first.ok());

  SECTION("its key has gone") { delete_key(*held.client, prefix + "leader"); }
  SECTION("another one has a key of that name") { (void)become_leader(*held.client, prefix); }

  const absl::Status status = commit_beside(*held, 1).get();
  CHECK(absl::IsFailedPrecondition(status));
  CHECK_FALSE(has_key(*held.client, prefix + "jobs/job-1"));
  CHECK(absl::IsFailedPrecondition((*held).begin_term().status()));
  held.store->set_leader(std::nullopt);
  CHECK(absl::IsFailedPrecondition((*held).begin_term().status()));

  held.store->set_leader(become_leader(*held.client, prefix));
  const auto second = (*held).begin_term();
  REQUIRE(second.ok());
  CHECK(second->meta.epoch() > first->meta.epoch());
}

TEST_CASE("what an earlier leader sends late is not done", "[etcd]") {
  InEtcd held;
  REQUIRE((*held).begin_term().ok());
  const SystemClock clock;
  EtcdStore later(*held.client, clock, held.options);
  later.set_leader(become_leader(*held.client, held.options.prefix));
  REQUIRE(later.begin_term().ok());

  CHECK(absl::IsFailedPrecondition(commit_beside(*held, 1).get()));
  CHECK(commit_beside(later, 2).get().ok());
  CHECK(later.begin_term()->live_jobs.size() == 1);
}

TEST_CASE("the epoch is the leader key's revision, and never falls", "[etcd]") {
  InEtcd held;
  const LeaderKey leader = become_leader(*held.client, held.options.prefix);
  held.store->set_leader(leader);
  CHECK((*held).begin_term()->meta.epoch() == static_cast<uint64_t>(leader.create_revision));
  CHECK((*held).begin_term()->meta.epoch() == static_cast<uint64_t>(leader.create_revision) + 1);
}

TEST_CASE("a staged commit that is whole is carried out by the next term, another is dropped",
          "[etcd]") {
  InEtcd held;
  const std::string prefix = held.options.prefix;
  REQUIRE((*held).begin_term().ok());
  for (const int number : {0, 1}) {
    const Job job = sample_job(static_cast<uint64_t>(number) + 1, Job::QUEUED);
    internal::StagedPart part;
    auto& put = *part.add_operations()->mutable_request_put();
    put.set_key(prefix + "jobs/" + job.job_id());
    put.set_value(job.SerializeAsString());
    put_key(*held.client, prefix + "staged/part/0000000" + std::to_string(number),
            part.SerializeAsString());
  }

  SECTION("whole") {
    put_key(*held.client, prefix + "staged/whole", "2");
    CHECK((*held).begin_term()->live_jobs.size() == 2);
  }
  SECTION("not whole") { CHECK((*held).begin_term()->live_jobs.empty()); }
  CHECK_FALSE(has_key(*held.client, prefix + "staged/part/00000000"));
  CHECK_FALSE(has_key(*held.client, prefix + "staged/whole"));
  CHECK((*held).begin_term().ok());
}

// Commits jobs 1, 2 and so on until etcd takes no more; that commit. `done`: how many there are.
std::future<absl::Status> fill(InEtcd& held, uint64_t* done) {
  for (uint64_t seq = 1;; ++seq) {
    *done = seq - 1;
    auto committed = std::async(std::launch::async, [&held, seq] {
      StoreBatch batch = batch_of(sample_job(seq, Job::QUEUED));
      batch.put_jobs[0].mutable_spec()->add_args(std::string(900'000, 'x'));
      return (*held).commit({&batch, 1});
    });
    if (committed.wait_for(2s) == std::future_status::timeout) return committed;
    REQUIRE(committed.get().ok());
    REQUIRE(seq < 100);
  }
}

TEST_CASE("a full etcd holds a commit up, and it is done once there is room", "[etcd]") {
  EtcdServer server({.quota_bytes = 16U << 20});
  InEtcd held(server, {.prefix = new_prefix(), .care = {.quota_bytes = 16U << 20}});
  REQUIRE((*held).begin_term().ok());
  uint64_t done = 0;
  auto committed = fill(held, &done);

  CHECK(*(*held).free_bytes() == 0);
  CHECK((*held).find_job("job-1").ok());  // what is there can be read
  for (uint64_t seq = 1; seq <= done; ++seq) {
    delete_key(*held.client, held.options.prefix + "jobs/job-" + std::to_string(seq));
  }
  const int64_t revision = held.client->status({})->header().revision();
  const std::string etcdctl = "ETCDCTL_API=3 etcdctl --endpoints=" + server.endpoint();
  const std::string compact = etcdctl + " compact --physical " + std::to_string(revision);
  REQUIRE(std::system((compact + " > /dev/null").c_str()) == 0);
  REQUIRE(std::system((etcdctl + " defrag > /dev/null").c_str()) == 0);
  REQUIRE(std::system((etcdctl + " alarm disarm > /dev/null").c_str()) == 0);

  const bool is_done = committed.wait_for(20s) == std::future_status::ready;
  if (!is_done) (*held).end_waits();
  CHECK(is_done);
  CHECK(committed.get() == absl::OkStatus());
  CHECK(commit_beside(*held, 200).get().ok());
}

TEST_CASE("what etcd has written although it says it is full is found to be done", "[etcd]") {
  EtcdServer& etcd = shared_etcd();
  FullOnceDone full(etcd);
  auto settings = etcd.settings();
  settings.endpoints = {full.endpoint()};
  const auto client = make_client(settings);
  const auto direct = make_client(etcd.settings());
  const EtcdKeys keys(new_prefix());
  const SystemClock clock;
  EtcdWriter writer(*client, keys, clock, {.patience = 30s, .wait_for_space = [] { return true; }});
  REQUIRE(writer.begin(become_leader(*direct, keys.all())) == absl::OkStatus());
  const auto put = [&](const std::string& value) {
    EtcdChanges changes;
    changes.put(keys.meta(), value);
    return writer.write(std::move(changes));
  };

  full.lie_once();
  CHECK(put("one") == absl::OkStatus());

  CHECK(direct->get(keys.meta(), {})->version() == 1);
  CHECK(put("two") == absl::OkStatus());
}

TEST_CASE("who leads no more, or stops, waits for no room in a full etcd", "[etcd]") {
  const bool stops = GENERATE(true, false);
  EtcdServer server({.quota_bytes = 16U << 20});
  InEtcd held(server, {.prefix = new_prefix(), .care = {.quota_bytes = 16U << 20}});
  REQUIRE((*held).begin_term().ok());
  uint64_t done = 0;
  auto committed = fill(held, &done);

  if (stops) {
    (*held).end_waits();
  } else {
    held.store->set_leader(std::nullopt);
  }

  CHECK(absl::IsResourceExhausted(committed.get()));
}

TEST_CASE("reads of a daemon that stops wait for nobody", "[etcd]") {
  EtcdServer server;
  InEtcd held(server, {.prefix = new_prefix()});
  REQUIRE((*held).begin_term().ok());
  server.pause();
  auto read =
      std::async(std::launch::async, [&held] { return (*held).find_job("job-1").status(); });
  CHECK(read.wait_for(200ms) == std::future_status::timeout);
  const auto begin = std::chrono::steady_clock::now();

  (*held).end_waits();

  CHECK(absl::IsCancelled(read.get()));
  CHECK(std::chrono::steady_clock::now() - begin < 1s);
  server.resume();
}

TEST_CASE("a store made by a newer program is refused and left as it is", "[etcd]") {
  InEtcd held;
  const std::string prefix = held.options.prefix;
  REQUIRE((*held).begin_term().ok());
  put_key(*held.client, prefix + "format", std::to_string(kEtcdFormat + 1));
  const std::string counter = counter_of(*held.client, prefix);

  const absl::Status refused = (*held).begin_term().status();

  CHECK(absl::IsFailedPrecondition(refused));
  CHECK(std::string(refused.message()).find("newer") != std::string::npos);
  CHECK(counter_of(*held.client, prefix) == counter);
}

TEST_CASE("records in etcd that do not parse are set aside, named, and stop nothing", "[etcd]") {
  InEtcd held;
  const std::string prefix = held.options.prefix;
  REQUIRE((*held).begin_term().ok());
  REQUIRE((*held).commit({batch_of(sample_job(1, Job::QUEUED))}).ok());
  put_key(*held.client, prefix + "jobs/job-2", "\xff\xff");
  put_key(*held.client, prefix + "workers/w1", sample_worker("w2").SerializeAsString());
  CHECK(absl::IsDataLoss((*held).find_job("job-2").status()));

  const auto contents = (*held).begin_term();

  REQUIRE(contents.ok());
  CHECK(contents->live_jobs.size() == 1);
  CHECK(contents->workers.empty());
  CHECK(contents->set_aside ==
        std::vector<std::string>{"jobs job-2: is damaged", "workers w1: is damaged"});
  CHECK(held.client->get(prefix + "set_aside/jobs/job-2", {})->value() == "\xff\xff");
  CHECK((*held).begin_term()->set_aside.empty());
}

}  // namespace clusterd
