#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <cstdlib>
#include <mutex>

#include "core/clock.h"
#include "etcd/rpc.grpc.pb.h"
#include "fuzz/fuzz_bytes.h"
#include "store/etcd_client.h"
#include "store/etcd_store.h"

// An etcd that answers anything that is well-formed: a term begins, or does not and it is said why.
namespace {

using namespace clusterd;

// Answers by the bytes of the run that is under way.
class Etcd final : public etcdserverpb::KV::Service {
 public:
  grpc::Status Range(grpc::ServerContext* /*context*/, const etcdserverpb::RangeRequest* request,
                     etcdserverpb::RangeResponse* answer) override {
    const std::lock_guard lock(mutex_);
    if (const auto failure = maybe_fail(); !failure.ok()) return failure;
    fuzz::fill(*answer, *bytes_);
    // Below what was asked for, or pages would have no end; a key that fits is of more use.
    for (mvccpb::KeyValue& kv : *answer->mutable_kvs()) kv.set_key(request->key() + kv.key());
    if (++pages_ > kMostPages) answer->set_more(false);
    return grpc::Status::OK;
  }
  grpc::Status Txn(grpc::ServerContext* /*context*/, const etcdserverpb::TxnRequest* /*request*/,
                   etcdserverpb::TxnResponse* answer) override {
    const std::lock_guard lock(mutex_);
    if (const auto failure = maybe_fail(); !failure.ok()) return failure;
    fuzz::fill(*answer, *bytes_);
    if (bytes_->below(4) > 0) answer->set_succeeded(true);
    return grpc::Status::OK;
  }

  void run(fuzz::Bytes& bytes) {
    const std::lock_guard lock(mutex_);
    bytes_ = &bytes;
    pages_ = 0;
  }
  void rest() {
    const std::lock_guard lock(mutex_);
    bytes_ = nullptr;
  }

 private:
  static constexpr int kMostPages = 20;

  grpc::Status maybe_fail() {
    if (bytes_ == nullptr) return {grpc::StatusCode::FAILED_PRECONDITION, "no run"};
    const size_t code = bytes_->below(64);
    if (code == 0 || code > 16) return grpc::Status::OK;
    return {static_cast<grpc::StatusCode>(code), bytes_->text()};
  }

  std::mutex mutex_;
  fuzz::Bytes* bytes_ = nullptr;  // guarded by mutex_
  int pages_ = 0;                 // the same
};

}  // namespace

// The server's threads come and go while leaks are looked for.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static SystemClock clock;
  static Etcd etcd;
  static int port = 0;
  static const std::unique_ptr<grpc::Server> server = [] {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&etcd);
    return builder.BuildAndStart();
  }();
  static const std::unique_ptr<EtcdClient> client = [] {
    SchedulerConfig::Store settings;
    settings.endpoints = {"127.0.0.1:" + std::to_string(port)};
    return *EtcdClient::make(settings, clock);
  }();
  fuzz::Bytes bytes(data, size);
  etcd.run(bytes);
  {
    EtcdStore store(*client, clock, {.patience = std::chrono::milliseconds(20)});
    store.set_leader(LeaderKey{.key = "/clusterd/election/leader", .create_revision = 5});
    const auto contents = store.begin_term();
    if (!contents.ok() && contents.status().message().empty()) std::abort();
    (void)store.find_job("job-1");
    (void)store.find_idempotency("key");
    (void)store.read_events(0, 10);
    (void)store.list_jobs({});
  }
  etcd.rest();
  return 0;
}
