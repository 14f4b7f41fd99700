// The programs of the two earlier systems, played for tests from outside: each a process of its
// own that speaks its contract, faults included, and prints what happens, one line an event.
//
//   original_programs calls ADDR          reads "METHOD JSON" lines and "services", prints answers
//   original_programs schedule ADDR COUNT     schedules tasks t0, t1, …, many at a time
//   original_programs jobscheduler-worker ADDR SCHEDULER
//   original_programs go-work-worker ADDR ID LEADER SCHEDULER HEARTBEAT_MS
//   original_programs jobscheduler-scheduler ADDR
//   original_programs go-work-scheduler LEADER_ADDR SCHEDULER_ADDR
#include <fcntl.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "compat/cluster.grpc.pb.h"
#include "compat/jobscheduler.grpc.pb.h"
#include "compat/scheduler.grpc.pb.h"
#include "compat/worker.grpc.pb.h"

extern char** environ;  // NOLINT

namespace {

using google::protobuf::Message;
namespace members = ::cluster::v1;
namespace tasks = ::scheduler::v1;
namespace work = ::worker::v1;

std::mutex print_mutex;  // NOLINT: one for the process's output

void print(const std::string& line) {
  const std::lock_guard lock(print_mutex);
  std::cout << line << std::endl;  // NOLINT: each line is waited for
}

const char* code_name(grpc::StatusCode code) {
  constexpr const char* kNames[] = {"OK",
                                    "CANCELLED",
                                    "UNKNOWN",
                                    "INVALID_ARGUMENT",
                                    "DEADLINE_EXCEEDED",
                                    "NOT_FOUND",
                                    "ALREADY_EXISTS",
                                    "PERMISSION_DENIED",
                                    "RESOURCE_EXHAUSTED",
                                    "FAILED_PRECONDITION",
                                    "ABORTED",
                                    "OUT_OF_RANGE",
                                    "UNIMPLEMENTED",
                                    "INTERNAL",
                                    "UNAVAILABLE",
                                    "DATA_LOSS",
                                    "UNAUTHENTICATED"};
  return kNames[static_cast<size_t>(code)];
}

template <typename Stub>
std::unique_ptr<typename Stub::Stub> stub_to(const std::string& address) {
  return Stub::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
}

void set_deadline(grpc::ClientContext& context, std::chrono::milliseconds deadline) {
  context.set_deadline(std::chrono::system_clock::now() + deadline);
}

// Serves at an address and prints where.
class Serving {
 public:
  Serving(const std::string& address, std::vector<grpc::Service*> services) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
    for (grpc::Service* service : services) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      print("cannot listen on " + address);
      std::_Exit(1);
    }
    address_ = "127.0.0.1:" + std::to_string(port);
    print("listening " + address_);
  }

  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

// ---------------------------------------------------------------------------------------- calls

// One message there and one back, as bytes.
grpc::Status exchange(grpc::GenericStub& stub, const std::string& method, const std::string& sent,
                      std::string& received) {
  grpc::Slice slice(sent);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer response;
  grpc::ClientContext context;
  set_deadline(context, std::chrono::seconds(30));
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, "/" + method, grpc::StubOptions(), &request, &response,
                 [&done](const grpc::Status& status) { done.set_value(status); });
  const grpc::Status status = done.get_future().get();
  grpc::Slice flat;
  if (status.ok() && response.DumpToSingleSlice(&flat).ok()) {
    received.assign(reinterpret_cast<const char*>(flat.begin()), flat.size());
  }
  return status;
}

std::string failure(const grpc::Status& status) {
  return std::string(code_name(status.error_code())) + " " + status.error_message();
}

// Calls METHOD ("cluster.v1.LeaderService/Join") with a message given as JSON.
std::string call(grpc::GenericStub& stub, const std::string& method, const std::string& json) {
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  std::string name = method;
  name[name.find('/')] = '.';
  const auto* descriptor = pool->FindMethodByName(name);
  if (descriptor == nullptr) return "no such method: " + method;
  auto* factory = google::protobuf::MessageFactory::generated_factory();
  const std::unique_ptr<Message> request(factory->GetPrototype(descriptor->input_type())->New());
  const std::unique_ptr<Message> response(factory->GetPrototype(descriptor->output_type())->New());
  if (!google::protobuf::util::JsonStringToMessage(json, request.get()).ok()) return "bad JSON";
  std::string received;
  const grpc::Status status = exchange(stub, method, request->SerializeAsString(), received);
  if (!status.ok()) return failure(status);
  if (!response->ParseFromString(received)) return "bad answer";
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  (void)google::protobuf::util::MessageToJsonString(*response, &text, options);
  return "OK " + text;
}

// The services that the server's reflection names, by its v1alpha protocol: field 7 of the request
// is list_services, field 6 of the answer has them, each with its name in field 1 of field 1.
std::string list_services(grpc::GenericStub& stub) {
  std::string received;
  const grpc::Status status =
      exchange(stub, "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
               std::string("\x3a\x01*", 3), received);
  if (!status.ok()) return failure(status);
  google::protobuf::UnknownFieldSet answer;
  if (!answer.ParseFromString(received)) return "bad answer";
  std::string names;
  for (int i = 0; i < answer.field_count(); ++i) {
    if (answer.field(i).number() != 6) continue;
    google::protobuf::UnknownFieldSet list;
    if (!list.ParseFromString(answer.field(i).length_delimited())) return "bad answer";
    for (int k = 0; k < list.field_count(); ++k) {
      google::protobuf::UnknownFieldSet service;
      if (!service.ParseFromString(list.field(k).length_delimited())) return "bad answer";
      names += (names.empty() ? "\"" : ", \"") + service.field(0).length_delimited() + "\"";
    }
  }
  return "OK [" + names + "]";
}

int run_calls(const std::string& address) {
  // Referred to, so that the linker keeps their descriptors.
  (void)members::JoinRequest::default_instance();
  (void)tasks::GetTasksRequest::default_instance();
  (void)work::StartWorkRequest::default_instance();
  (void)jobscheduler::RegisterReq::default_instance();
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  for (std::string line; std::getline(std::cin, line);) {
    const size_t space = line.find(' ');
    const std::string method = line.substr(0, space);
    print(method == "services" ? list_services(stub) : call(stub, method, line.substr(space + 1)));
  }
  return 0;
}

// Keeps some calls under way until all tasks are scheduled.
class Schedule {
 public:
  Schedule(const std::string& address, int count)
      : stub_(stub_to<tasks::SchedulerService>(address)), count_(count) {}

  int run() {
    for (int i = 0; i < kAtOnce; ++i) next();
    const int failed = done_.get_future().get();
    print("scheduled " + std::to_string(count_ - failed));
    return failed == 0 ? 0 : 1;
  }

 private:
  static constexpr int kAtOnce = 256;
  struct Call {
    grpc::ClientContext context;
    tasks::ScheduleTaskRequest request;
    tasks::ScheduleTaskResponse response;
  };

  void next() {
    const int number = started_++;
    if (number >= count_) return;
    auto* call = new Call;
    call->request.mutable_task()->set_id("t" + std::to_string(number));
    call->request.mutable_task()->set_payload("do some work");
    stub_->async()->ScheduleTask(&call->context, &call->request, &call->response,
                                 [this, call](const grpc::Status& status) {
                                   delete call;
                                   if (!status.ok()) ++failed_;
                                   if (++ended_ == count_) return done_.set_value(failed_);
                                   next();
                                 });
  }

  std::unique_ptr<tasks::SchedulerService::Stub> stub_;
  const int count_;
  std::atomic<int> started_ = 0;
  std::atomic<int> ended_ = 0;
  std::atomic<int> failed_ = 0;
  std::promise<int> done_;
};

// -------------------------------------------------------------------------- scheduler-worker-grpc

// Runs jobs as that worker does: standard error is thrown away, a stop kills the child alone and
// does not wait, and jobs are never forgotten.
class JobschedulerWorker final : public jobscheduler::Worker::Service {
 public:
  grpc::Status StartJob(grpc::ServerContext*, const jobscheduler::StartJobReq* request,
                        jobscheduler::StartJobRes* response) override {
    const std::lock_guard lock(mutex_);
    std::string id = "theirs-" + std::to_string(getpid()) + "-" + std::to_string(jobs_.size() + 1);
    std::vector<std::string> words = {request->command(), request->path()};
    std::vector<char*> argv = {words[0].data(), words[1].data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, (id + ".out").c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
      return {grpc::StatusCode::UNKNOWN,
              "exec: \"" + request->command() + "\": executable file not found in $PATH"};
    }
    Job& job = jobs_[id];
    job.pid = pid;
    std::thread([this, id, pid] {
      int status = 0;
      waitpid(pid, &status, 0);
      const std::lock_guard inner(mutex_);
      Job& ended = jobs_[id];
      ended.done = true;
      if (WIFSIGNALED(status)) {
        ended.error = WTERMSIG(status) == SIGKILL ? "signal: killed" : "signal: terminated";
      } else if (WEXITSTATUS(status) != 0) {
        ended.error = "exit status " + std::to_string(WEXITSTATUS(status));
      }
    }).detach();
    print("start " + request->command() + " " + request->path());
    response->set_jobid(id);
    return grpc::Status::OK;
  }

  grpc::Status StopJob(grpc::ServerContext*, const jobscheduler::StopJobReq* request,
                       jobscheduler::StopJobRes*) override {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(request->jobid());
    if (found == jobs_.end()) return {grpc::StatusCode::UNKNOWN, "job not found"};
    if (!found->second.done) kill(found->second.pid, SIGKILL);
    print("stop " + request->jobid());
    return grpc::Status::OK;
  }

  grpc::Status QueryJob(grpc::ServerContext*, const jobscheduler::QueryJobReq* request,
                        jobscheduler::QueryJobRes* response) override {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(request->jobid());
    if (found == jobs_.end()) return {grpc::StatusCode::UNKNOWN, "job not found"};
    response->set_done(found->second.done);
    response->set_error(!found->second.error.empty());
    response->set_errortext(found->second.error);
    return grpc::Status::OK;
  }

 private:
  struct Job {
    pid_t pid = 0;
    bool done = false;
    std::string error;
  };
  std::mutex mutex_;
  std::map<std::string, Job> jobs_;
};

int wait_for_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  int signal = 0;
  sigwait(&set, &signal);
  return signal;
}

int run_jobscheduler_worker(const std::string& address, const std::string& scheduler) {
  JobschedulerWorker service;
  const Serving serving(address, {&service});
  auto stub = stub_to<jobscheduler::Scheduler>(scheduler);
  jobscheduler::RegisterReq request;
  jobscheduler::RegisterRes response;
  request.set_address(serving.address());
  grpc::ClientContext context;
  set_deadline(context, std::chrono::seconds(1));
  const grpc::Status status = stub->RegisterWorker(&context, request, &response);
  print(status.ok() ? "registered " + response.workerid() : "refused " + status.error_message());
  (void)wait_for_signal();
  grpc::ClientContext last;
  set_deadline(last, std::chrono::seconds(1));
  jobscheduler::DeregisterReq leave;
  jobscheduler::DeregisterRes left;
  leave.set_workerid(response.workerid());
  print(stub->DeregisterWorker(&last, leave, &left).ok() ? "deregistered" : "not deregistered");
  std::_Exit(1);  // as that worker does
}

class JobschedulerScheduler final : public jobscheduler::Scheduler::Service {
 public:
  grpc::Status RegisterWorker(grpc::ServerContext*, const jobscheduler::RegisterReq* request,
                              jobscheduler::RegisterRes* response) override {
    response->set_success(true);
    response->set_workerid("worker-" + std::to_string(++workers_));
    print("register " + response->workerid() + " " + request->address());
    return grpc::Status::OK;
  }
  grpc::Status DeregisterWorker(grpc::ServerContext*, const jobscheduler::DeregisterReq* request,
                                jobscheduler::DeregisterRes* response) override {
    print("deregister " + request->workerid());
    response->set_success(true);
    return grpc::Status::OK;
  }

 private:
  std::atomic<int> workers_ = 0;
};

// ---------------------------------------------------------------------------------------- go-work

// Works as that worker does: a stop ends nothing, what was stopped tells of its completion all the
// same, and work that is done is not put down. Payloads: "sleep MS", "fail TEXT", others are done.
class GoWorkWorker final : public work::WorkerService::Service {
 public:
  explicit GoWorkWorker(const std::string& scheduler)
      : scheduler_(stub_to<tasks::SchedulerService>(scheduler)) {}

  grpc::Status StartWork(grpc::ServerContext*, const work::StartWorkRequest* request,
                         work::StartWorkResponse* response) override {
    if (request->id().empty()) return {grpc::StatusCode::INVALID_ARGUMENT, "Id required"};
    if (request->payload().empty()) return {grpc::StatusCode::INVALID_ARGUMENT, "Payload required"};
    if (working_.exchange(true)) return {grpc::StatusCode::ALREADY_EXISTS, "Already working"};
    print("start " + request->id() + " " + request->payload());
    status_ = members::HEARTBEAT_STATUS_BUSY;
    std::thread([this, id = request->id(), payload = request->payload()] {
      do_work(id, payload);
    }).detach();
    response->set_success(true);
    return grpc::Status::OK;
  }
  grpc::Status StopWork(grpc::ServerContext*, const work::StopWorkRequest* request,
                        work::StopWorkResponse* response) override {
    if (request->id().empty()) return {grpc::StatusCode::INVALID_ARGUMENT, "Id required"};
    print("stop " + request->id());
    status_ = members::HEARTBEAT_STATUS_IDLE;
    working_ = false;
    response->set_success(true);
    return grpc::Status::OK;
  }

  [[nodiscard]] members::HeartbeatStatus status() const { return status_; }

 private:
  void do_work(const std::string& id, const std::string& payload) {
    std::istringstream words(payload);
    std::string verb;
    int milliseconds = 0;
    words >> verb;
    if (verb == "sleep" && words >> milliseconds) {
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    }
    grpc::ClientContext context;
    set_deadline(context, std::chrono::seconds(5));
    tasks::TaskCompleteRequest request;
    tasks::TaskCompleteResponse response;
    request.set_id(id);
    if (verb == "fail") request.set_error(payload.substr(verb.size() + 1));
    const grpc::Status status = scheduler_->TaskComplete(&context, request, &response);
    status_ = members::HEARTBEAT_STATUS_IDLE;
    print("completed " + id + " " + code_name(status.error_code()));
  }

  std::unique_ptr<tasks::SchedulerService::Stub> scheduler_;
  std::atomic<bool> working_ = false;
  std::atomic<members::HeartbeatStatus> status_ = members::HEARTBEAT_STATUS_IDLE;
};

int run_go_work_worker(const std::string& address, const std::string& id, const std::string& leader,
                       const std::string& scheduler, std::chrono::milliseconds interval) {
  GoWorkWorker service(scheduler);
  const Serving serving(address, {&service});
  auto stub = stub_to<members::LeaderService>(leader);
  grpc::ClientContext context;
  set_deadline(context, std::chrono::seconds(5));
  members::JoinRequest join;
  members::JoinResponse joined;
  join.set_id(id);
  join.set_address(serving.address());
  const grpc::Status status = stub->Join(&context, join, &joined);
  print(status.ok() ? "joined " + id : "refused " + status.error_message());
  std::thread([&stub, &service, id, interval] {
    while (true) {
      std::this_thread::sleep_for(interval);
      grpc::ClientContext each;
      set_deadline(each, std::chrono::seconds(5));
      members::HeartbeatRequest heartbeat;
      members::HeartbeatResponse heard;
      heartbeat.set_id(id);
      heartbeat.set_status(service.status());
      (void)stub->Heartbeat(&each, heartbeat, &heard);
    }
  }).detach();
  (void)wait_for_signal();
  grpc::ClientContext last;
  set_deadline(last, std::chrono::seconds(5));
  members::LeaveRequest leave;
  members::LeaveResponse left;
  leave.set_id(id);
  print(stub->Leave(&last, leave, &left).ok() ? "left" : "not left");
  std::_Exit(0);
}

class GoWorkLeader final : public members::LeaderService::Service {
 public:
  grpc::Status Join(grpc::ServerContext*, const members::JoinRequest* request,
                    members::JoinResponse*) override {
    known_ = true;
    print("join " + request->id() + " " + request->address());
    return grpc::Status::OK;
  }
  grpc::Status Leave(grpc::ServerContext*, const members::LeaveRequest* request,
                     members::LeaveResponse*) override {
    print("leave " + request->id());
    return grpc::Status::OK;
  }
  grpc::Status Heartbeat(grpc::ServerContext*, const members::HeartbeatRequest* request,
                         members::HeartbeatResponse*) override {
    print("heartbeat " + request->id() + " " + members::HeartbeatStatus_Name(request->status()));
    return known_ ? grpc::Status::OK
                  : grpc::Status(grpc::StatusCode::NOT_FOUND, "member not found");
  }

 private:
  std::atomic<bool> known_ = false;  // it forgets at each start
};

class GoWorkScheduler final : public tasks::SchedulerService::Service {
 public:
  grpc::Status TaskComplete(grpc::ServerContext*, const tasks::TaskCompleteRequest* request,
                            tasks::TaskCompleteResponse*) override {
    print("complete " + request->id() + (request->has_error() ? " error " + request->error() : ""));
    return grpc::Status::OK;
  }
};

}  // namespace

int main(int argc, char** argv) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  const std::vector<std::string> words(argv + 1, argv + argc);
  const std::string mode = words.empty() ? "" : words[0];
  if (mode == "calls" && words.size() == 2) return run_calls(words[1]);
  if (mode == "schedule" && words.size() == 3) {
    return Schedule(words[1], std::stoi(words[2])).run();
  }
  if (mode == "jobscheduler-worker" && words.size() == 3) {
    return run_jobscheduler_worker(words[1], words[2]);
  }
  if (mode == "go-work-worker" && words.size() == 6) {
    return run_go_work_worker(words[1], words[2], words[3], words[4],
                              std::chrono::milliseconds(std::stoi(words[5])));
  }
  if (mode == "jobscheduler-scheduler" && words.size() == 2) {
    JobschedulerScheduler service;
    const Serving serving(words[1], {&service});
    (void)wait_for_signal();
    std::_Exit(0);
  }
  if (mode == "go-work-scheduler" && words.size() == 3) {
    GoWorkLeader leader;
    GoWorkScheduler scheduler;
    const Serving first(words[1], {&leader});
    const Serving second(words[2], {&scheduler});
    (void)wait_for_signal();
    std::_Exit(0);
  }
  std::cerr << "usage: see the top of original_programs.cc\n";
  return 64;
}
