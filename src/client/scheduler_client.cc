#include "client/scheduler_client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "absl/strings/cord.h"
#include "clusterd/job_states.h"
#include "clusterd/v1/scheduler_service.grpc.pb.h"
#include "core/address.h"
#include "core/file_watch.h"
#include "core/ids.h"
#include "core/proto_time.h"
#include "rpc/credentials.h"
#include "rpc/grpc_status.h"
#include "rpc/tls_keeper.h"

namespace clusterd {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;
using Stub = v1::SchedulerService::Stub;

constexpr seconds kCallTimeout(30);
constexpr seconds kStartTimeout(90);  // `start_wait` may be a minute
constexpr seconds kTryLimit(10);      // of one scheduler of several, which may be frozen
constexpr seconds kFailoverPatience(30);
constexpr std::chrono::milliseconds kBetweenTries(300);
constexpr seconds kGroupTimeout(600);  // a million jobs take some minutes
constexpr seconds kWaitSlice(30);
constexpr seconds kWaitMargin(10);  // on top of what the scheduler is asked to wait
constexpr std::chrono::hours kStreamTimeout(1);
constexpr seconds kEstablished(30);    // a stream that lasted so long, silent or not
constexpr seconds kFinalPatience(15);  // the job has ended and its output stays away

constexpr char kUnreachable[] = "clusterd/unreachable";

absl::Status unreachable(const std::string& address, const std::string& source,
                         const grpc::Status& status) {
  absl::Status result =
      absl::UnavailableError("scheduler " + address + (source.empty() ? "" : " (" + source + ")") +
                             " cannot be reached: " + status.error_message());
  result.SetPayload(kUnreachable, absl::Cord());
  return result;
}

// What a restart in between looks like from here. INTERNAL and UNKNOWN are what gRPC makes of a
// connection that dies within a stream.
bool is_interruption(absl::StatusCode code) {
  return code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kInternal ||
         code == absl::StatusCode::kUnknown || code == absl::StatusCode::kCancelled ||
         code == absl::StatusCode::kDeadlineExceeded || code == absl::StatusCode::kAborted;
}

// The same call on another address is then the same to the cluster.
template <typename Request>
Request with_request_id(Request request) {
  if (request.request_id().empty()) request.set_request_id(new_uuid_v4());
  return request;
}

}  // namespace

bool is_scheduler_unreachable(const absl::Status& status) {
  return status.GetPayload(kUnreachable).has_value();
}

struct SchedulerClient::Endpoint {
  std::string address;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<Stub> stub;
};

struct SchedulerClient::Caller {
  SchedulerClient& client;
  const std::stop_token& stop;

  // Runs `call(stub, context)`, on the next address too where one does not answer.
  template <typename Call>
  absl::Status run(nanoseconds timeout, Call call) {
    client.renew_certificates();
    absl::Status failure;
    for (size_t tried = 0; tried < client.endpoints_.size(); ++tried) {
      Endpoint& endpoint = *client.endpoints_[client.current_];
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() +
                           std::chrono::duration_cast<std::chrono::milliseconds>(timeout));
      if (!client.config_.token.empty())
        context.AddMetadata("authorization", "Bearer " + client.config_.token);
      const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
      const grpc::Status status = call(*endpoint.stub, context);
      if (stop.stop_requested()) return absl::CancelledError("interrupted");
      const bool is_connected = endpoint.channel->GetState(false) == GRPC_CHANNEL_READY;
      const bool is_down =
          !is_connected && (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                            status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED);
      if (!is_down) {
        client.answered_ = client.answered_ || status.ok() || is_connected;
        // One that cannot answer now: another call may find another one that can.
        if (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
            status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
          client.current_ = (client.current_ + 1) % client.endpoints_.size();
        }
        return from_grpc(status);
      }
      failure = unreachable(endpoint.address, client.addr_source_, status);
      client.current_ = (client.current_ + 1) % client.endpoints_.size();
    }
    return failure;
  }

  template <typename Response, typename Request>
  absl::StatusOr<Response> unary(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
                                 const Request& request, nanoseconds timeout = kCallTimeout) {
    Response response;
    absl::Status status = repeat(timeout, [&](Stub& stub, grpc::ClientContext& context) {
      return (stub.*method)(&context, request, &response);
    });
    if (!status.ok()) return status;
    return response;
  }

  // The same, and where there are several schedulers, again until another one leads: these calls
  // change nothing, or have a request id.
  template <typename Call>
  absl::Status repeat(nanoseconds timeout, Call call) {
    if (client.endpoints_.size() == 1 || timeout > kStartTimeout) return run(timeout, call);
    const auto end = std::chrono::steady_clock::now() + kFailoverPatience;
    while (true) {
      const absl::Status status = run(std::min<nanoseconds>(timeout, kTryLimit), call);
      const bool is_answer = !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status);
      if (is_answer || std::chrono::steady_clock::now() >= end || !pause()) return status;
    }
  }

  // False where it is to stop.
  bool pause() {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    (void)never.wait_for(lock, stop, kBetweenTries, [] { return false; });
    return !stop.stop_requested();
  }

  // One call of StreamJob. OK: it ended in order, or was cut without an error; the assembler
  // knows which.
  absl::Status stream(OutputAssembler& assembler, const OutputSink& sink) {
    absl::Status verdict;
    const absl::Status status = run(kStreamTimeout, [&](Stub& stub, grpc::ClientContext& context) {
      // From where the call before has left off, which may have been cut in the middle.
      const v1::StreamJobRequest request = assembler.next_request();
      const auto reader = stub.StreamJob(&context, request);
      v1::StreamJobResponse message;
      while (verdict.ok() && reader->Read(&message)) {
        client.answered_ = true;
        verdict = assembler.accept(message, sink);
      }
      if (!verdict.ok()) context.TryCancel();
      return reader->Finish();
    });
    return verdict.ok() ? status : verdict;
  }

  // How long to go on trying for output that could not be had for `elapsed`.
  nanoseconds patience(const OutputAssembler& output) {
    if (!client.answered_) return nanoseconds::zero();
    if (!output.is_follow()) return output.has_started() ? kFinalPatience : seconds::zero();
    const auto job = client.query(output.job_id(), stop);
    return job.ok() && is_final(job->state()) ? nanoseconds(kFinalPatience)
                                              : nanoseconds(kPatience);
  }
};

// The certificates of a client that uses TLS, and whether they have changed.
struct SchedulerClient::Tls {
  std::unique_ptr<TlsKeeper> keeper;
  FileWatch files;
};

SchedulerClient::SchedulerClient(ClientConfig config, std::string addr_source)
    : config_(std::move(config)), addr_source_(std::move(addr_source)) {}
SchedulerClient::~SchedulerClient() = default;

absl::StatusOr<std::unique_ptr<SchedulerClient>> SchedulerClient::make(const ClientConfig& config,
                                                                       std::string addr_source) {
  if (config.crt_file.empty() != config.key_file.empty()) {
    return absl::InvalidArgumentError("a certificate and its key go together: --cert and --key");
  }
  if (config.ca_file.empty() && !config.crt_file.empty()) {
    return absl::InvalidArgumentError("a certificate is shown with TLS only: --ca is needed too");
  }
  std::unique_ptr<SchedulerClient> client(new SchedulerClient(config, std::move(addr_source)));
  if (!config.ca_file.empty()) {
    auto keeper = TlsKeeper::make(
        "", {.crt_file = config.crt_file, .key_file = config.key_file, .ca_file = config.ca_file});
    if (!keeper.ok()) return keeper.status();
    FileWatch files((*keeper)->files());
    client->tls_ = std::make_unique<Tls>(Tls{*std::move(keeper), std::move(files)});
  }
  for (const std::string& address : config.addr) {
    client->endpoints_.push_back(std::make_unique<Endpoint>(Endpoint{.address = address}));
  }
  client->connect();
  return client;
}

void SchedulerClient::connect() {
  for (const auto& endpoint : endpoints_) {
    auto credentials = grpc::InsecureChannelCredentials();
    if (tls_ != nullptr) {
      const auto address = parse_address(endpoint->address);
      credentials = tls_->keeper->channel_credentials(
          {ExpectedPeer::Kind::kSchedulerOrHost, address.ok() ? address->host : ""});
    }
    endpoint->channel = make_channel(endpoint->address, credentials);
    endpoint->stub = v1::SchedulerService::NewStub(endpoint->channel);
  }
}

void SchedulerClient::renew_certificates() {
  if (tls_ != nullptr && tls_->files.look() && tls_->keeper->reload().ok()) connect();
}

absl::StatusOr<v1::Job> SchedulerClient::start(v1::StartJobRequest request,
                                               const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::StartJob, with_request_id(std::move(request)),
                                   kStartTimeout);
}

absl::StatusOr<v1::Job> SchedulerClient::stop_job(const v1::StopJobRequest& request,
                                                  const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::StopJob, request);
}

absl::StatusOr<v1::Job> SchedulerClient::query(const std::string& job_id,
                                               const std::stop_token& stop) {
  v1::QueryJobRequest request;
  request.set_job_id(job_id);
  return Caller{*this, stop}.unary(&Stub::QueryJob, request);
}

absl::StatusOr<v1::Job> SchedulerClient::signal(v1::SignalJobRequest request,
                                                const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::SignalJob, with_request_id(std::move(request)));
}

absl::StatusOr<v1::Job> SchedulerClient::retry(v1::RetryJobRequest request,
                                               const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::RetryJob, with_request_id(std::move(request)));
}

absl::Status SchedulerClient::erase(v1::DeleteJobRequest request, const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::DeleteJob, with_request_id(std::move(request))).status();
}

absl::StatusOr<v1::MatchingJobsResponse> SchedulerClient::stop_matching(
    v1::StopMatchingJobsRequest request, const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::StopMatchingJobs, with_request_id(std::move(request)),
                                   kGroupTimeout);
}

absl::StatusOr<v1::MatchingJobsResponse> SchedulerClient::retry_matching(
    v1::RetryMatchingJobsRequest request, const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::RetryMatchingJobs, with_request_id(std::move(request)),
                                   kGroupTimeout);
}

absl::StatusOr<v1::Worker> SchedulerClient::drain(v1::DrainWorkerRequest request,
                                                  const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::DrainWorker, with_request_id(std::move(request)));
}

absl::StatusOr<v1::Worker> SchedulerClient::resume(v1::ResumeWorkerRequest request,
                                                   const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::ResumeWorker, with_request_id(std::move(request)));
}

absl::StatusOr<v1::Worker> SchedulerClient::remove(v1::RemoveWorkerRequest request,
                                                   const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::RemoveWorker, with_request_id(std::move(request)));
}

absl::StatusOr<v1::ListQueuesResponse> SchedulerClient::list_queues(const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::ListQueues, v1::ListQueuesRequest());
}

absl::StatusOr<v1::Queue> SchedulerClient::get_queue(const std::string& name,
                                                     const std::stop_token& stop) {
  v1::GetQueueRequest request;
  request.set_name(name);
  return Caller{*this, stop}.unary(&Stub::GetQueue, request);
}

absl::StatusOr<v1::Queue> SchedulerClient::set_queue(v1::SetQueueRequest request,
                                                     const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::SetQueue, with_request_id(std::move(request)));
}

absl::StatusOr<v1::Queue> SchedulerClient::pause_queue(v1::PauseQueueRequest request,
                                                       const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::PauseQueue, with_request_id(std::move(request)));
}

absl::StatusOr<v1::Queue> SchedulerClient::resume_queue(v1::ResumeQueueRequest request,
                                                        const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::ResumeQueue, with_request_id(std::move(request)));
}

absl::StatusOr<v1::DeleteQueueResponse> SchedulerClient::delete_queue(
    v1::DeleteQueueRequest request, const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::DeleteQueue, with_request_id(std::move(request)));
}

absl::StatusOr<v1::ExplainJobResponse> SchedulerClient::explain(
    const v1::ExplainJobRequest& request, const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::ExplainJob, request);
}

absl::StatusOr<v1::ListJobsResponse> SchedulerClient::list_tasks(
    const v1::ListTasksRequest& request, const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::ListTasks, request);
}

absl::StatusOr<v1::ListJobsResponse> SchedulerClient::list(const v1::ListJobsRequest& request,
                                                           const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::ListJobs, request);
}

absl::StatusOr<v1::ListWorkersResponse> SchedulerClient::list_workers(const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::ListWorkers, v1::ListWorkersRequest());
}

absl::StatusOr<v1::ListScriptsResponse> SchedulerClient::list_scripts(
    const v1::ListScriptsRequest& request, const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::ListScripts, request);
}

absl::StatusOr<v1::Schedule> SchedulerClient::create_schedule(v1::CreateScheduleRequest request,
                                                              const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::CreateSchedule, with_request_id(std::move(request)));
}

absl::StatusOr<v1::Schedule> SchedulerClient::update_schedule(v1::UpdateScheduleRequest request,
                                                              const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::UpdateSchedule, with_request_id(std::move(request)));
}

absl::StatusOr<v1::ListSchedulesResponse> SchedulerClient::list_schedules(
    const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::ListSchedules, v1::ListSchedulesRequest());
}

absl::StatusOr<v1::Schedule> SchedulerClient::get_schedule(const v1::GetScheduleRequest& request,
                                                           const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::GetSchedule, request);
}

absl::StatusOr<v1::Schedule> SchedulerClient::pause_schedule(v1::PauseScheduleRequest request,
                                                             const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::PauseSchedule, with_request_id(std::move(request)));
}

absl::StatusOr<v1::Schedule> SchedulerClient::resume_schedule(v1::ResumeScheduleRequest request,
                                                              const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::ResumeSchedule, with_request_id(std::move(request)));
}

absl::StatusOr<v1::Job> SchedulerClient::trigger_schedule(v1::TriggerScheduleRequest request,
                                                          const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::TriggerSchedule, with_request_id(std::move(request)),
                                   kStartTimeout);
}

absl::Status SchedulerClient::delete_schedule(v1::DeleteScheduleRequest request,
                                              const std::stop_token& stop) {
  return Caller{*this, stop}
      .unary(&Stub::DeleteSchedule, with_request_id(std::move(request)))
      .status();
}

absl::StatusOr<v1::Cluster> SchedulerClient::cluster(const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::GetCluster, v1::GetClusterRequest());
}

absl::StatusOr<v1::Job> SchedulerClient::wait(const std::string& job_id,
                                              std::optional<nanoseconds> timeout,
                                              const std::stop_token& stop) {
  const auto begin = std::chrono::steady_clock::now();
  if (!answered_) {  // a scheduler that never answered is not waited for
    auto job = query(job_id, stop);
    if (!job.ok() || is_final(job->state())) return job;
  }
  Backoff backoff;
  v1::WaitJobRequest request;
  request.set_job_id(job_id);
  while (true) {
    nanoseconds slice = kWaitSlice;
    if (timeout) {
      const nanoseconds left = *timeout - (std::chrono::steady_clock::now() - begin);
      slice = std::clamp(left, nanoseconds::zero(), slice);
    }
    *request.mutable_timeout() = to_proto(slice);
    auto job = Caller{*this, stop}.unary(&Stub::WaitJob, request, slice + kWaitMargin);
    if (job.ok() && is_final(job->state())) return job;
    if (timeout && std::chrono::steady_clock::now() - begin >= *timeout) {
      if (!job.ok()) return job;
      return absl::DeadlineExceededError("job " + job_id + " is still " +
                                         std::string(name_of(job->state())));
    }
    if (job.ok()) {
      backoff.reset();
      continue;
    }
    const bool go_on = answered_ && is_interruption(job.status().code());
    if (stop.stop_requested() || !go_on || backoff.elapsed() > kPatience) return job;
    backoff.pause(stop);
  }
}

absl::StatusOr<v1::WaitJobsResponse> SchedulerClient::wait_jobs(const v1::WaitJobsRequest& request,
                                                                const std::stop_token& stop) {
  return Caller{*this, stop}.unary(&Stub::WaitJobs, request,
                                   from_proto(request.timeout()) + kWaitMargin);
}

absl::Status SchedulerClient::watch_events(
    uint64_t since, const std::function<absl::Status(const v1::Event&)>& sink,
    const std::function<void(const std::string&)>& notice, const std::stop_token& stop) {
  Caller caller{*this, stop};
  v1::WatchEventsRequest request;
  request.set_since(since);
  Backoff backoff;
  bool is_told = false;
  while (true) {
    absl::Status verdict;
    const auto opened = std::chrono::steady_clock::now();
    absl::Status status = caller.run(kStreamTimeout, [&](Stub& stub, grpc::ClientContext& context) {
      const auto reader = stub.WatchEvents(&context, request);
      v1::Event event;
      while (verdict.ok() && reader->Read(&event)) {
        answered_ = true;
        verdict = sink(event);
        request.set_since(event.seq());
        backoff.reset();
        is_told = false;
      }
      if (!verdict.ok()) context.TryCancel();
      return reader->Finish();
    });
    if (!verdict.ok()) return verdict;
    if (stop.stop_requested()) return absl::CancelledError("interrupted");
    if (!status.ok() && (!answered_ || !is_interruption(status.code()))) return status;
    if (std::chrono::steady_clock::now() - opened > kEstablished) backoff.reset();
    if (backoff.elapsed() >= kPatience) return status;
    const bool in_order = status.ok() || absl::IsDeadlineExceeded(status);
    if (!is_told && !in_order) notice(std::string(status.message()) + "; trying again");
    is_told = !in_order;
    backoff.pause(stop);
  }
}

absl::Status SchedulerClient::read_output(OutputAssembler& output, const OutputSink& sink,
                                          const std::function<void(const std::string&)>& notice,
                                          const std::stop_token& stop) {
  Caller caller{*this, stop};
  absl::Status sink_status;
  const OutputSink checked_sink = [&sink, &sink_status](std::string_view bytes) {
    sink_status = sink(bytes);
    return sink_status;
  };
  Backoff backoff;
  bool is_told = false;
  while (true) {
    const uint64_t before = output.position();
    const auto opened = std::chrono::steady_clock::now();
    absl::Status status = caller.stream(output, checked_sink);
    if (output.is_done()) return absl::OkStatus();
    if (!sink_status.ok()) return sink_status;
    if (stop.stop_requested()) return absl::CancelledError("interrupted");
    if (!status.ok() && !is_interruption(status.code())) return status;
    if (output.position() > before || std::chrono::steady_clock::now() - opened > kEstablished) {
      backoff.reset();
      is_told = false;
    }
    if (status.ok()) status = absl::UnavailableError("the stream of output was cut");
    if (backoff.elapsed() >= caller.patience(output)) return status;
    if (!is_told) notice(std::string(status.message()) + "; trying again");
    is_told = true;
    backoff.pause(stop);
  }
}

}  // namespace clusterd
