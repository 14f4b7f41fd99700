#include "clusterd/client.h"

#include <algorithm>
#include <cstdlib>
#include <future>
#include <utility>

#include "client/client_calls.h"
#include "client/client_wait.h"
#include "client/output_assembler.h"
#include "core/ids.h"

namespace clusterd {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr seconds kTryLimit(15);
constexpr seconds kStartTryLimit(90);  // `start_wait` may be a minute

// The same call on another address, or again, is then the same to the cluster.
template <typename Request>
Request with_request_id(Request request) {
  if (request.request_id().empty()) request.set_request_id(new_uuid_v4());
  return request;
}

// Runs the other form of a call and waits for its end.
template <typename Result, typename Begin>
Result block(Begin begin) {
  // Shared with the callback, which may still be in set_value() when this has its result.
  const auto promise = std::make_shared<std::promise<Result>>();
  std::future<Result> future = promise->get_future();
  begin([promise](Result result) { promise->set_value(std::move(result)); });
  return future.get();
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

ClientOptions client_options_from_environment() {
  ClientOptions options;
  if (const std::string text = variable("CLUSTERD_ADDR"); !text.empty()) {
    options.addresses.clear();
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      options.addresses.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  options.token = variable("CLUSTERD_TOKEN");
  options.ca_file = variable("CLUSTERD_CA");
  options.crt_file = variable("CLUSTERD_CERT");
  options.key_file = variable("CLUSTERD_KEY");
  return options;
}

// What the operations share, and how they are begun.
class Client::Core {
 public:
  Core(ClientOptions options, std::unique_ptr<ClientChannels> channels) {
    shared_.options = std::move(options);
    shared_.channels = std::move(channels);
  }
  ~Core() { shared_.wait_for_operations(); }

  template <typename Request, typename Response>
  void unary(typename UnaryOperation<Request, Response>::Method method, Request request,
             Callback<Response> done, const CallOptions& call, nanoseconds limit = kTryLimit) {
    using Operation = UnaryOperation<Request, Response>;
    // One of several schedulers may be frozen.
    if (shared_.channels->size() > 1) limit = std::min<nanoseconds>(limit, kTryLimit);
    std::make_shared<Operation>(shared_, method, std::move(request), std::move(done),
                                call.deadline.value_or(shared_.options.deadline), limit)
        ->begin(call.stop);
  }

  void wait(const std::string& job_id, Callback<v1::Job> done, const CallOptions& call) {
    std::make_shared<WaitOperation>(shared_, job_id, std::move(done), call.deadline)
        ->begin(call.stop);
  }

  void follow(v1::StreamJobRequest request, ChunkSink sink, Callback<v1::OutputEnd> done,
              const CallOptions& call);
  // `since` 0 is the newest event now, so that none is missed where the first call is cut.
  void watch(uint64_t since, EventSink sink, std::function<void(absl::Status)> done,
             const CallOptions& call);

 private:
  void watch_after(uint64_t since, EventSink sink, std::function<void(absl::Status)> done,
                   const CallOptions& call);

  ClientShared shared_;
};

void Client::Core::follow(v1::StreamJobRequest request, ChunkSink sink,
                          Callback<v1::OutputEnd> done, const CallOptions& call) {
  using Operation = StreamOperation<v1::StreamJobRequest, v1::StreamJobResponse>;
  // Shared by the hooks of one operation.
  struct Reading {
    OutputAssembler assembler;
    ChunkSink sink;
    uint64_t told_skipped = 0;
  };
  const auto reading =
      std::make_shared<Reading>(Reading{OutputAssembler(std::move(request)), std::move(sink)});
  Operation::Hooks hooks;
  hooks.next_request = [reading] { return reading->assembler.next_request(); };
  hooks.accept = [reading](const v1::StreamJobResponse& message) {
    return reading->assembler.accept(message, [&reading](std::string_view bytes) {
      OutputAssembler& assembler = reading->assembler;
      const uint64_t skipped = assembler.skipped() - reading->told_skipped;
      reading->told_skipped = assembler.skipped();
      return reading->sink({.attempt = assembler.attempt(),
                            .offset = assembler.position(),
                            .skipped = skipped,
                            .bytes = bytes});
    });
  };
  hooks.is_done = [reading] { return reading->assembler.is_done(); };
  hooks.done = [reading, done = std::move(done)](const absl::Status& status) {
    if (!status.ok()) return done(status);
    done(reading->assembler.end());
  };
  std::make_shared<Operation>(shared_, &Operation::Async::StreamJob, std::move(hooks),
                              call.deadline)
      ->begin(call.stop);
}

void Client::Core::watch(uint64_t since, EventSink sink, std::function<void(absl::Status)> done,
                         const CallOptions& call) {
  if (since != 0) return watch_after(since, std::move(sink), std::move(done), call);
  unary<v1::GetClusterRequest, v1::Cluster>(
      &v1::SchedulerService::StubInterface::async_interface::GetCluster, v1::GetClusterRequest(),
      [this, sink = std::move(sink), done = std::move(done),
       call](const absl::StatusOr<v1::Cluster>& cluster) {
        if (!cluster.ok()) return done(cluster.status());
        watch_after(cluster->last_event(), sink, done, call);
      },
      {.deadline =
           std::min(call.deadline.value_or(shared_.options.deadline), shared_.options.deadline),
       .stop = call.stop});
}

void Client::Core::watch_after(uint64_t since, EventSink sink,
                               std::function<void(absl::Status)> done, const CallOptions& call) {
  using Operation = StreamOperation<v1::WatchEventsRequest, v1::Event>;
  const auto seen = std::make_shared<uint64_t>(since);  // shared by two hooks
  Operation::Hooks hooks;
  hooks.next_request = [seen] {
    v1::WatchEventsRequest request;
    request.set_since(*seen);
    return request;
  };
  hooks.accept = [seen, sink = std::move(sink)](const v1::Event& event) {
    absl::Status status = sink(event);
    if (status.ok()) *seen = event.seq();
    return status;
  };
  hooks.is_done = [] { return false; };
  hooks.done = std::move(done);
  std::make_shared<Operation>(shared_, &Operation::Async::WatchEvents, std::move(hooks),
                              call.deadline)
      ->begin(call.stop);
}

absl::StatusOr<std::unique_ptr<Client>> Client::make(ClientOptions options) {
  auto channels = ClientChannels::make(options);
  if (!channels.ok()) return channels.status();
  return std::unique_ptr<Client>(
      new Client(std::make_unique<Core>(std::move(options), *std::move(channels))));
}

Client::Client(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Client::~Client() = default;

using Async = v1::SchedulerService::StubInterface::async_interface;

void Client::start_async(v1::StartJobRequest request, Callback<v1::Job> done, CallOptions call) {
  core_->unary<v1::StartJobRequest, v1::Job>(&Async::StartJob, with_request_id(std::move(request)),
                                             std::move(done), call, kStartTryLimit);
}

void Client::query_async(const std::string& job_id, Callback<v1::Job> done, CallOptions call) {
  v1::QueryJobRequest request;
  request.set_job_id(job_id);
  core_->unary<v1::QueryJobRequest, v1::Job>(&Async::QueryJob, std::move(request), std::move(done),
                                             call);
}

void Client::stop_async(v1::StopJobRequest request, Callback<v1::Job> done, CallOptions call) {
  core_->unary<v1::StopJobRequest, v1::Job>(&Async::StopJob, with_request_id(std::move(request)),
                                            std::move(done), call);
}

void Client::wait_async(const std::string& job_id, Callback<v1::Job> done, CallOptions call) {
  core_->wait(job_id, std::move(done), call);
}

void Client::retry_async(v1::RetryJobRequest request, Callback<v1::Job> done, CallOptions call) {
  core_->unary<v1::RetryJobRequest, v1::Job>(&Async::RetryJob, with_request_id(std::move(request)),
                                             std::move(done), call);
}

void Client::list_async(v1::ListJobsRequest request, Callback<v1::ListJobsResponse> done,
                        CallOptions call) {
  core_->unary<v1::ListJobsRequest, v1::ListJobsResponse>(&Async::ListJobs, std::move(request),
                                                          std::move(done), call);
}

void Client::list_tasks_async(v1::ListTasksRequest request, Callback<v1::ListJobsResponse> done,
                              CallOptions call) {
  core_->unary<v1::ListTasksRequest, v1::ListJobsResponse>(&Async::ListTasks, std::move(request),
                                                           std::move(done), call);
}

void Client::list_workers_async(Callback<v1::ListWorkersResponse> done, CallOptions call) {
  core_->unary<v1::ListWorkersRequest, v1::ListWorkersResponse>(
      &Async::ListWorkers, v1::ListWorkersRequest(), std::move(done), call);
}

void Client::follow_async(const std::string& job_id, ChunkSink sink, Callback<v1::OutputEnd> done,
                          FollowOptions options, CallOptions call) {
  v1::StreamJobRequest request;
  request.set_job_id(job_id);
  request.set_follow(options.follow);
  request.set_offset(options.offset);
  request.set_tail_lines(options.tail_lines);
  request.set_stream(options.stream);
  request.set_attempt(options.attempt);
  core_->follow(std::move(request), std::move(sink), std::move(done), call);
}

void Client::watch_async(uint64_t since, EventSink sink, std::function<void(absl::Status)> done,
                         CallOptions call) {
  core_->watch(since, std::move(sink), std::move(done), call);
}

absl::StatusOr<v1::Job> Client::start(v1::StartJobRequest request, CallOptions call) {
  return block<absl::StatusOr<v1::Job>>(
      [&](auto done) { start_async(std::move(request), std::move(done), std::move(call)); });
}

absl::StatusOr<v1::Job> Client::query(const std::string& job_id, CallOptions call) {
  return block<absl::StatusOr<v1::Job>>(
      [&](auto done) { query_async(job_id, std::move(done), std::move(call)); });
}

absl::StatusOr<v1::Job> Client::stop(v1::StopJobRequest request, CallOptions call) {
  return block<absl::StatusOr<v1::Job>>(
      [&](auto done) { stop_async(std::move(request), std::move(done), std::move(call)); });
}

absl::StatusOr<v1::Job> Client::wait(const std::string& job_id, CallOptions call) {
  return block<absl::StatusOr<v1::Job>>(
      [&](auto done) { wait_async(job_id, std::move(done), std::move(call)); });
}

absl::StatusOr<v1::Job> Client::retry(v1::RetryJobRequest request, CallOptions call) {
  return block<absl::StatusOr<v1::Job>>(
      [&](auto done) { retry_async(std::move(request), std::move(done), std::move(call)); });
}

absl::StatusOr<v1::ListJobsResponse> Client::list(v1::ListJobsRequest request, CallOptions call) {
  return block<absl::StatusOr<v1::ListJobsResponse>>(
      [&](auto done) { list_async(std::move(request), std::move(done), std::move(call)); });
}

absl::StatusOr<v1::ListJobsResponse> Client::list_tasks(v1::ListTasksRequest request,
                                                        CallOptions call) {
  return block<absl::StatusOr<v1::ListJobsResponse>>(
      [&](auto done) { list_tasks_async(std::move(request), std::move(done), std::move(call)); });
}

absl::StatusOr<v1::ListWorkersResponse> Client::list_workers(CallOptions call) {
  return block<absl::StatusOr<v1::ListWorkersResponse>>(
      [&](auto done) { list_workers_async(std::move(done), std::move(call)); });
}

absl::StatusOr<v1::OutputEnd> Client::follow(const std::string& job_id, ChunkSink sink,
                                             FollowOptions options, CallOptions call) {
  return block<absl::StatusOr<v1::OutputEnd>>([&](auto done) {
    follow_async(job_id, std::move(sink), std::move(done), options, std::move(call));
  });
}

absl::Status Client::watch(uint64_t since, EventSink sink, CallOptions call) {
  return block<absl::Status>(
      [&](auto done) { watch_async(since, std::move(sink), std::move(done), std::move(call)); });
}

}  // namespace clusterd
