#include <fcntl.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/crc32c.h"
#include "core/field_error.h"
#include "rpc/access_control.h"
#include "rpc/credentials.h"
#include "rpc/grpc_status.h"
#include "support/fake_cluster_service.h"
#include "support/recorded_messages.h"
#include "worker/executable_file.h"
#include "worker/launcher_connection.h"
#include "worker/limits_policy.h"
#include "worker/machine.h"
#include "worker/worker_core.h"
#include "worker/worker_service.h"

namespace clusterd {
namespace fs = std::filesystem;
namespace {

std::unique_ptr<grpc::Server> listen(grpc::Service& service, std::string& address) {
  grpc::ServerBuilder builder;
  apply_server_limits(builder);
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  auto server = builder.BuildAndStart();
  address = "127.0.0.1:" + std::to_string(port);
  return server;
}

v1::AttemptKey key_of(const std::string& job_id) {
  v1::AttemptKey key;
  key.set_job_id(job_id);
  key.set_attempt(1);
  return key;
}

// A worker with a true launcher, and the scheduler's side of it.
class Worker {
 public:
  explicit Worker(std::chrono::nanoseconds oldest = std::chrono::hours(1)) : max_age(oldest) {
    const char* base = std::getenv("TMPDIR");
    std::string name = std::string(base != nullptr ? base : "/tmp") + "/worker-XXXXXX";
    root = mkdtemp(name.data());
    fs::create_directories(root / "scripts");
    fs::create_directories(root / "data");
    fs::permissions(root / "data", fs::perms::owner_all);
    scheduler_server = listen(scheduler, scheduler_address);
    begin();
  }

  ~Worker() {
    leave();
    scheduler_server->Shutdown(std::chrono::system_clock::now());
    std::error_code vanished;  // the launcher, which leaves, removes files of its own
    while (fs::exists(root)) fs::remove_all(root, vanished);
  }

  // What a worker process does when it starts; also again, after leave().
  void begin() {
    WorkerConfig::Jobs jobs;
    jobs.scripts_dir = (root / "scripts").native();
    jobs.data_dir = (root / "data").native();
    jobs.allowed_commands = {"bash", "sh"};
    core =
        std::make_unique<WorkerCore>(jobs, LimitsPolicy({}, read_system_bounds()), max_age, clock);
    service = std::make_unique<WorkerServiceImpl>(*core, access);
    server = listen(*service, address);
    SessionOptions session;
    session.addresses = {scheduler_address};
    session.credentials = [] { return grpc::InsecureChannelCredentials(); };
    session.data_dir = jobs.data_dir;
    *session.offer.mutable_identity() = machine_identity();
    session.offer.set_name("tested");
    core->use_session(std::move(session));
    launcher = std::make_unique<LauncherConnection>(
        launcher_options(), clock, core->launcher_observer([this] { replaced.set_value(); }));
    core->use_launcher(launcher.get());
    REQUIRE(launcher->start().ok());
    stub = v1::WorkerService::NewStub(make_channel(address, grpc::InsecureChannelCredentials()));
    REQUIRE(scheduler.wait_for_session(++sessions));
  }

  // The launcher stays while it has jobs.
  void leave() {
    core->deregister();
    core->close(/*for_good=*/true);
    server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
    launcher.reset();
    core.reset();
  }

  LauncherOptions launcher_options() const {
    const std::string data_dir = root / "data";
    return {fs::path(*own_executable()).parent_path() / "test_launcher", data_dir,
            *choose_runtime_dir("", data_dir)};
  }

  std::string folder_of(const std::string& job) const { return core->folder_of(key_of(job)); }

  void script(const std::string& name, const std::string& text) const {
    std::ofstream(root / "scripts" / name) << text;
    chmod((root / "scripts" / name).c_str(), 0755);
  }

  absl::StatusOr<v1::StartJobsResponse> start(const std::string& job, const std::string& path,
                                              const std::string& command = "sh",
                                              uint64_t session = 0) {
    v1::StartJobsRequest request;
    request.set_epoch(1);
    request.set_session(session != 0 ? session : scheduler.session());
    v1::StartAttempt& attempt = *request.add_attempts();
    *attempt.mutable_key() = key_of(job);
    attempt.mutable_spec()->set_path(path);
    attempt.mutable_spec()->set_command(command);
    grpc::ClientContext context;
    v1::StartJobsResponse response;
    const absl::Status status = from_grpc(stub->StartJobs(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }

  void stop(const std::string& job) {
    v1::StopJobsRequest request;
    request.set_epoch(1);
    request.set_session(scheduler.session());
    *request.add_keys() = key_of(job);
    grpc::ClientContext context;
    v1::StopJobsResponse response;
    CHECK(stub->StopJobs(&context, request, &response).ok());
  }

  absl::Status query(const std::string& job) {
    v1::QueryAttemptRequest request;
    *request.mutable_key() = key_of(job);
    grpc::ClientContext context;
    v1::AttemptStatus response;
    return from_grpc(stub->QueryJob(&context, request, &response));
  }

  const std::chrono::nanoseconds max_age;
  fs::path root;
  uint64_t sessions = 0;
  SystemClock clock;
  FakeClusterService scheduler;
  std::string scheduler_address, address;
  std::unique_ptr<grpc::Server> scheduler_server;
  std::unique_ptr<WorkerCore> core;
  NoAuthentication everybody;
  AccessControl access{"worker", everybody};
  std::unique_ptr<WorkerServiceImpl> service;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<LauncherConnection> launcher;
  std::unique_ptr<v1::WorkerService::Stub> stub;
  std::promise<void> replaced;
};

// One reader of an attempt's output, which checks every frame.
class Follower {
 public:
  Follower(Worker& worker, const std::string& job, bool follow, uint64_t offset = 0) {
    v1::StreamAttemptRequest request;
    *request.mutable_key() = key_of(job);
    request.set_follow(follow);
    request.set_offset(offset);
    stream_ = worker.stub->StreamJob(&context_, request);
  }

  // Until at least `count` bytes are there, or the stream ends.
  const std::string& read(size_t count = SIZE_MAX) {
    while (bytes.size() < count && stream_->Read(&message_)) {
      if (message_.has_end()) end = message_.end();
      if (message_.has_start()) next_ = message_.start().offset();
      if (!message_.has_frame()) continue;
      CHECK(message_.frame().offset() == next_);
      CHECK(message_.frame().crc32c() == crc32c(message_.frame().data()));
      CHECK(message_.frame().data().size() <= 64U << 10);
      next_ += message_.frame().data().size();
      bytes += message_.frame().data();
    }
    return bytes;
  }

  absl::Status finish() {
    read();
    return from_grpc(stream_->Finish());
  }
  void cancel() { context_.TryCancel(); }

  std::string bytes;
  v1::OutputEnd end;

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::StreamJobResponse>> stream_;
  v1::StreamJobResponse message_;
  uint64_t next_ = 0;
};

uint64_t peak_memory_kib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    uint64_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib;
  }
  return 0;
}

}  // namespace

TEST_CASE("a script runs, is followed live by two readers, and its end is told", "[worker]") {
  Worker worker;
  const std::string gate = worker.root / "scripts" / "gate";
  REQUIRE(mkfifo(gate.c_str(), 0600) == 0);
  worker.script("job.sh", "echo first; cat gate; echo $CLUSTERD_WORKER_NAME; exit 37\n");

  const auto started = worker.start("j1", "job.sh");
  REQUIRE(started.ok());
  REQUIRE(started->verdicts(0).refusal().code() == 0);
  Follower one(worker, "j1", /*follow=*/true);
  Follower two(worker, "j1", /*follow=*/true);
  CHECK(one.read(6) == "first\n");
  CHECK(two.read(6) == "first\n");
  CHECK(worker.query("j1").ok());
  std::ofstream(gate) << "middle\n";

  CHECK(one.finish().ok());
  CHECK(two.finish().ok());
  CHECK(one.bytes == "first\nmiddle\ntested\n");
  CHECK(two.bytes == one.bytes);
  CHECK(one.end.complete());
  CHECK(one.end.total_bytes() == one.bytes.size());
  const v1::JobEvent ended = worker.scheduler.event("j1", v1::JobEvent::kEnded);
  CHECK(ended.ended().exit_code() == 37);
  CHECK(ended.ended().outputs(0).total_bytes() == one.bytes.size());
}

TEST_CASE("output of a forgotten attempt stays readable", "[worker]") {
  Worker worker;
  worker.script("job.sh", "echo one; echo two\n");
  REQUIRE(worker.start("j1", "job.sh").ok());
  (void)worker.scheduler.event("j1", v1::JobEvent::kEnded);
  while (!absl::IsNotFound(worker.query("j1"))) std::this_thread::yield();

  Follower all(worker, "j1", /*follow=*/true);
  Follower rest(worker, "j1", /*follow=*/false, /*offset=*/4);
  Follower beyond(worker, "j1", /*follow=*/false, /*offset=*/9);
  Follower unknown(worker, "j2", /*follow=*/true);

  CHECK(all.finish().ok());
  CHECK(all.bytes == "one\ntwo\n");
  CHECK(rest.finish().ok());
  CHECK(rest.bytes == "two\n");
  CHECK(rest.end.complete());
  CHECK(absl::IsOutOfRange(beyond.finish()));
  CHECK(absl::IsNotFound(unknown.finish()));
}

TEST_CASE("a stop ends the whole tree and is told as a stop", "[worker]") {
  Worker worker;
  worker.script("job.sh", "sleep 1000 & echo $!; wait\n");
  REQUIRE(worker.start("j1", "job.sh").ok());
  Follower reader(worker, "j1", /*follow=*/true);
  const int child = std::stoi(reader.read(2));

  worker.stop("j1");

  const v1::JobEvent ended = worker.scheduler.event("j1", v1::JobEvent::kEnded);
  CHECK(ended.ended().reason() == v1::JobEnd::STOP_REQUESTED);
  CHECK(kill(child, 0) != 0);
  CHECK(reader.finish().ok());
}

TEST_CASE("orders of a scheduler of the build before the queue are carried out", "[worker]") {
  constexpr const char* kRecording = "messages_before_queue.txt";
  Worker worker;
  worker.script("seven.sh", "exit 7\n");
  worker.script("longer.sh", "exec sleep 1000\n");
  v1::StartJobsRequest start = recorded<v1::StartJobsRequest>(kRecording).at(1);
  v1::StopJobsRequest stop = recorded<v1::StopJobsRequest>(kRecording).front();
  v1::StartJobsRequest stopped;
  for (auto& request : recorded<v1::StartJobsRequest>(kRecording)) {
    if (request.attempts(0).key().job_id() == stop.keys(0).job_id()) stopped = request;
  }

  for (v1::StartJobsRequest* request : {&start, &stopped}) {
    request->set_session(worker.scheduler.session());
    grpc::ClientContext context;
    v1::StartJobsResponse answer;
    REQUIRE(worker.stub->StartJobs(&context, *request, &answer).ok());
    CHECK(answer.verdicts(0).refusal().code() == 0);
  }
  const std::string stopped_id = stop.keys(0).job_id();
  (void)worker.scheduler.event(stopped_id, v1::JobEvent::kStarted);
  stop.set_session(worker.scheduler.session());
  grpc::ClientContext context;
  v1::StopJobsResponse answer;
  REQUIRE(worker.stub->StopJobs(&context, stop, &answer).ok());

  const std::string started_id = start.attempts(0).key().job_id();
  CHECK(worker.scheduler.event(started_id, v1::JobEvent::kEnded).ended().exit_code() == 7);
  const auto end = worker.scheduler.event(stopped_id, v1::JobEvent::kEnded).ended();
  CHECK(end.reason() == v1::JobEnd::STOP_REQUESTED);
}

TEST_CASE("refusals leave nothing behind", "[worker]") {
  Worker worker;
  worker.script("job.sh", "echo never\n");

  const auto command = worker.start("j1", "job.sh", "perl");
  const auto path = worker.start("j2", "none.sh");
  const auto stale = worker.start("j3", "job.sh", "sh", /*session=*/99);

  CHECK(field_of(from_proto(command->verdicts(0).refusal())) == "command");
  CHECK(field_of(from_proto(path->verdicts(0).refusal())) == "path");
  CHECK(absl::IsFailedPrecondition(stale.status()));
  for (const char* job : {"j1", "j2", "j3"}) CHECK(absl::IsNotFound(worker.query(job)));
}

TEST_CASE("a cut session is opened again with everything that is held", "[worker]") {
  Worker worker;
  worker.script("job.sh", "echo here; sleep 1000\n");
  REQUIRE(worker.start("j1", "job.sh").ok());
  (void)worker.scheduler.event("j1", v1::JobEvent::kStarted);

  worker.scheduler.cut();
  REQUIRE(worker.scheduler.wait_for_session(2));

  REQUIRE(worker.scheduler.hello().inventory_size() == 1);
  CHECK(worker.scheduler.hello().inventory(0).key().job_id() == "j1");
  CHECK(worker.scheduler.hello().inventory(0).started());
  worker.stop("j1");
  (void)worker.scheduler.event("j1", v1::JobEvent::kEnded);
}

TEST_CASE("a restart deletes old output, but not that of a job that runs", "[worker]") {
  Worker worker(/*oldest=*/std::chrono::nanoseconds(0));
  worker.script("runs.sh", "echo here; sleep 1000\n");
  worker.script("ends.sh", "echo gone\n");
  REQUIRE(worker.start("runs", "runs.sh").ok());
  CHECK(Follower(worker, "runs", /*follow=*/true).read(5) == "here\n");
  REQUIRE(worker.start("ends", "ends.sh").ok());
  (void)worker.scheduler.event("ends", v1::JobEvent::kEnded);
  while (!absl::IsNotFound(worker.query("ends"))) std::this_thread::yield();
  REQUIRE(fs::exists(worker.folder_of("ends")));

  worker.leave();
  worker.begin();
  while (fs::exists(worker.folder_of("ends"))) std::this_thread::yield();
  REQUIRE(worker.start("none", "none.sh").ok());  // comes after all that the sweep deletes

  CHECK(Follower(worker, "runs", /*follow=*/true).read(5) == "here\n");
  worker.stop("runs");
  (void)worker.scheduler.event("runs", v1::JobEvent::kEnded);
}

TEST_CASE("an end that cannot be written is held until it can", "[worker]") {
  Worker worker;
  worker.script("job.sh", "echo here; cat gate\n");
  const std::string gate = worker.root / "scripts" / "gate";
  REQUIRE(mkfifo(gate.c_str(), 0600) == 0);
  REQUIRE(worker.start("j1", "job.sh").ok());
  CHECK(Follower(worker, "j1", /*follow=*/true).read(5) == "here\n");
  const std::string obstacle = worker.folder_of("j1") + "/end.pb.new";
  fs::create_directory(obstacle);
  std::ofstream(gate) << "";
  (void)worker.scheduler.event("j1", v1::JobEvent::kEnded);
  REQUIRE(worker.start("none", "none.sh").ok());  // comes after the first try
  CHECK(worker.query("j1").ok());

  fs::remove(obstacle);
  while (!absl::IsNotFound(worker.query("j1"))) std::this_thread::yield();

  Follower reader(worker, "j1", /*follow=*/true);
  CHECK(reader.finish().ok());
  CHECK(reader.bytes == "here\n");
  CHECK(reader.end.complete());
}

TEST_CASE("an end that a power loss has emptied is not taken for an empty output", "[worker]") {
  Worker worker;
  worker.script("job.sh", "echo here\n");
  REQUIRE(worker.start("j1", "job.sh").ok());
  (void)worker.scheduler.event("j1", v1::JobEvent::kEnded);
  while (!absl::IsNotFound(worker.query("j1"))) std::this_thread::yield();
  fs::resize_file(worker.folder_of("j1") + "/end.pb", 0);

  CHECK(absl::IsDataLoss(Follower(worker, "j1", /*follow=*/true).finish()));
}

TEST_CASE("a worker whose launcher is taken over is told and says nothing more", "[worker]") {
  Worker worker;
  LauncherConnection newer(worker.launcher_options(), worker.clock,
                           {[](const auto&) {}, [](const auto&) {}, [](const absl::Status&) {}});
  REQUIRE(newer.start().ok());

  REQUIRE(worker.replaced.get_future().wait_for(std::chrono::seconds(30)) ==
          std::future_status::ready);
  worker.core->deregister();

  CHECK(worker.scheduler.deregistrations().empty());
  internal::ToLauncher leave;
  leave.set_leave(true);
  newer.send(std::move(leave));
}

TEST_CASE("workers with the same runtime_dir do not share a launcher", "[worker]") {
  const Worker worker;
  const std::string shared = worker.root / "run";
  const std::string other = worker.root / "other";
  fs::create_directory(other);

  const auto one = choose_runtime_dir(shared, worker.root / "data");
  const auto two = choose_runtime_dir(shared, other);

  REQUIRE(one.ok());
  REQUIRE(two.ok());
  CHECK(*one != *two);
  CHECK(one->starts_with(shared + "/"));
  CHECK(*one == *choose_runtime_dir(shared, worker.root / "data"));
}

TEST_CASE("a reader that reads nothing delays nobody and costs little", "[worker]") {
  Worker worker;
  worker.script("job.sh", "head -c 100000000 /dev/zero\n");
  REQUIRE(worker.start("j1", "job.sh").ok());
  Follower stalled(worker, "j1", /*follow=*/true);

  std::vector<uint64_t> totals(4);
  std::vector<std::thread> threads;
  for (uint64_t& total : totals) {
    threads.emplace_back([&worker, &total] {
      grpc::ClientContext context;
      v1::StreamAttemptRequest request;
      *request.mutable_key() = key_of("j1");
      request.set_follow(true);
      const auto stream = worker.stub->StreamJob(&context, request);
      v1::StreamJobResponse message;
      while (stream->Read(&message)) total += message.frame().data().size();
    });
  }
  for (std::thread& thread : threads) thread.join();
  stalled.cancel();

  for (const uint64_t total : totals) CHECK(total == 100'000'000);
#if defined(__SANITIZE_ADDRESS__)  // its own memory is counted too
  constexpr uint64_t kLimitKib = 1U << 20;
#else
  constexpr uint64_t kLimitKib = 100U << 10;
#endif
  CHECK(peak_memory_kib() < kLimitKib);
}

}  // namespace clusterd
