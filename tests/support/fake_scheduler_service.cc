#include "support/fake_scheduler_service.h"

#include <algorithm>
#include <chrono>

#include "clusterd/job_states.h"
#include "core/crc32c.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "rpc/grpc_status.h"

namespace clusterd::testing {
namespace {

constexpr size_t kFrameBytes = 64U << 10;
// How often a waiting call looks whether its caller has gone.
constexpr auto kCancelCheck = std::chrono::milliseconds(5);

bool is_the_worker(const std::string& id) { return id == "w1" || id == "one"; }

grpc::Status refusal_of(const v1::JobSpec& spec) {
  if (!spec.worker_id().empty() && !is_the_worker(spec.worker_id())) {
    return to_grpc(absl::NotFoundError("no worker " + spec.worker_id()));
  }
  if (spec.path() == "missing.sh") {
    return to_grpc(invalid_field("path", "no script missing.sh below <scripts>"));
  }
  if (spec.command() == "forbidden") {
    return to_grpc(field_error(absl::StatusCode::kPermissionDenied, "command", "not allowed"));
  }
  if (spec.name() == "full") {
    return to_grpc(with_retry_delay(absl::ResourceExhaustedError("the queue is full"),
                                    std::chrono::milliseconds(2500)));
  }
  return grpc::Status::OK;
}

}  // namespace

class FakeSchedulerService::OpenCall {
 public:
  explicit OpenCall(FakeSchedulerService& service) : service_(service) {
    const std::lock_guard lock(service_.mutex_);
    ++service_.open_calls_;
  }
  ~OpenCall() {
    const std::lock_guard lock(service_.mutex_);
    --service_.open_calls_;
    service_.changed_.notify_all();
  }
  OpenCall(const OpenCall&) = delete;
  OpenCall& operator=(const OpenCall&) = delete;

 private:
  FakeSchedulerService& service_;
};

void FakeSchedulerService::append_output(const std::string& job_id, const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  jobs_.at(job_id).output += bytes;
  changed_.notify_all();
}

void FakeSchedulerService::end_job(const std::string& job_id, v1::Job::State state,
                                   const v1::JobEnd& end_of_job) {
  const std::lock_guard lock(mutex_);
  end(jobs_.at(job_id), state, end_of_job);
}

void FakeSchedulerService::break_streams(const std::string& job_id, const grpc::Status& status) {
  const std::lock_guard lock(mutex_);
  jobs_.at(job_id).broken = status;
  changed_.notify_all();
}

void FakeSchedulerService::spoil_checksums(bool spoil) {
  const std::lock_guard lock(mutex_);
  spoils_checksums_ = spoil;
}

void FakeSchedulerService::set_stops_at_once(bool stops) {
  const std::lock_guard lock(mutex_);
  stops_at_once_ = stops;
}

void FakeSchedulerService::set_longest_wait(std::chrono::nanoseconds longest) {
  const std::lock_guard lock(mutex_);
  longest_wait_ = longest;
}

void FakeSchedulerService::wait_for_waits(size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this, count] { return waits_ >= count; });
}

void FakeSchedulerService::add_event(const v1::Event& event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(event);
  changed_.notify_all();
}

v1::ListJobsRequest FakeSchedulerService::last_list() const {
  const std::lock_guard lock(mutex_);
  return last_list_;
}

v1::StreamJobRequest FakeSchedulerService::last_stream() const {
  const std::lock_guard lock(mutex_);
  return last_stream_;
}

size_t FakeSchedulerService::job_count() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

uint64_t FakeSchedulerService::output_bytes_sent() const {
  const std::lock_guard lock(mutex_);
  return sent_;
}

bool FakeSchedulerService::wait_until_idle(int seconds) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(seconds),
                           [this] { return open_calls_ == 0; });
}

grpc::Status FakeSchedulerService::StartJob(grpc::ServerContext* /*context*/,
                                            const v1::StartJobRequest* request, v1::Job* response) {
  const grpc::Status refusal = refusal_of(request->spec());
  if (!refusal.ok()) return refusal;
  const std::lock_guard lock(mutex_);
  std::string id = "job-" + std::to_string(jobs_.size() + 1);
  if (!request->request_id().empty()) {
    id = job_of_request_.emplace(request->request_id(), id).first->second;
  }
  FakeJob& job = jobs_[id];
  if (job.job.job_id().empty()) {
    job.job.set_job_id(id);
    job.job.set_seq(jobs_.size());
    *job.job.mutable_spec() = request->spec();
    job.job.set_state(v1::Job::RUNNING);
    job.job.set_attempt(1);
    job.job.set_worker_id("w1");
  }
  *response = job.job;
  return grpc::Status::OK;
}

grpc::Status FakeSchedulerService::StopJob(grpc::ServerContext* /*context*/,
                                           const v1::StopJobRequest* request, v1::Job* response) {
  const std::lock_guard lock(mutex_);
  FakeJob* job = nullptr;
  const grpc::Status status = find(request->job_id(), request->worker_id(), &job);
  if (!status.ok()) return status;
  job->job.mutable_stop_requested()->set_reason(request->reason());
  *response = job->job;
  if (stops_at_once_ && !is_final(job->job.state())) {
    v1::JobEnd stopped;
    stopped.set_reason(v1::JobEnd::STOP_REQUESTED);
    stopped.set_signal(9);
    end(*job, v1::Job::STOPPED, stopped);
  }
  return grpc::Status::OK;
}

grpc::Status FakeSchedulerService::QueryJob(grpc::ServerContext* /*context*/,
                                            const v1::QueryJobRequest* request, v1::Job* response) {
  const std::lock_guard lock(mutex_);
  FakeJob* job = nullptr;
  const grpc::Status status = find(request->job_id(), request->worker_id(), &job);
  if (status.ok()) *response = job->job;
  return status;
}

grpc::Status FakeSchedulerService::WaitJob(grpc::ServerContext* context,
                                           const v1::WaitJobRequest* request, v1::Job* response) {
  const OpenCall open(*this);
  std::unique_lock lock(mutex_);
  FakeJob* job = nullptr;
  const grpc::Status status = find(request->job_id(), request->worker_id(), &job);
  if (!status.ok()) return status;
  ++waits_;
  changed_.notify_all();
  const auto until =
      std::chrono::steady_clock::now() + std::min(from_proto(request->timeout()), longest_wait_);
  while (!is_final(job->job.state()) && !context->IsCancelled() &&
         std::chrono::steady_clock::now() < until) {
    changed_.wait_for(lock, kCancelCheck);
  }
  *response = job->job;
  return grpc::Status::OK;
}

grpc::Status FakeSchedulerService::ListJobs(grpc::ServerContext* /*context*/,
                                            const v1::ListJobsRequest* request,
                                            v1::ListJobsResponse* response) {
  const std::lock_guard lock(mutex_);
  last_list_ = *request;
  for (const auto& [id, job] : jobs_) *response->add_jobs() = job.job;
  return grpc::Status::OK;
}

grpc::Status FakeSchedulerService::GetWorker(grpc::ServerContext* /*context*/,
                                             const v1::GetWorkerRequest* request,
                                             v1::Worker* response) {
  if (!is_the_worker(request->worker_id())) {
    return to_grpc(absl::NotFoundError("no worker " + request->worker_id()));
  }
  response->set_worker_id("w1");
  response->set_name("one");
  response->set_state(v1::Worker::ALIVE);
  return grpc::Status::OK;
}

grpc::Status FakeSchedulerService::StreamJob(grpc::ServerContext* context,
                                             const v1::StreamJobRequest* request,
                                             grpc::ServerWriter<v1::StreamJobResponse>* writer) {
  const OpenCall open(*this);
  uint64_t offset = request->offset();
  v1::StreamJobResponse message;
  {
    const std::lock_guard lock(mutex_);
    last_stream_ = *request;
    FakeJob* job = nullptr;
    const grpc::Status status = find(request->job_id(), request->worker_id(), &job);
    if (!status.ok()) return status;
    if (!job->broken.ok() && job->output.empty()) return job->broken;
    if (offset > job->output.size()) {
      return to_grpc(
          absl::OutOfRangeError("the output has " + std::to_string(job->output.size()) + " bytes"));
    }
    message.mutable_start()->set_attempt(1);
    message.mutable_start()->set_stream(v1::OutputStream::MERGED);
    message.mutable_start()->set_offset(offset);
  }
  grpc::Status status;
  do {
    if (!writer->Write(message)) return grpc::Status::CANCELLED;
    if (message.has_end()) return grpc::Status::OK;
  } while (next_message(*context, *request, offset, message, status));
  return status;
}

bool FakeSchedulerService::next_message(grpc::ServerContext& context,
                                        const v1::StreamJobRequest& request, uint64_t& offset,
                                        v1::StreamJobResponse& message, grpc::Status& status) {
  std::unique_lock lock(mutex_);
  const FakeJob& job = jobs_.at(request.job_id());
  while (offset == job.output.size() && job.broken.ok() && request.follow() &&
         !is_final(job.job.state()) && !context.IsCancelled()) {
    changed_.wait_for(lock, kCancelCheck);
  }
  status = context.IsCancelled() ? grpc::Status::CANCELLED : job.broken;
  if (offset < job.output.size()) {
    auto* frame = message.mutable_frame();
    frame->set_offset(offset);
    frame->set_data(job.output.substr(offset, kFrameBytes));
    frame->set_crc32c(crc32c(frame->data()) + (spoils_checksums_ ? 1 : 0));
    offset += frame->data().size();
    sent_ += frame->data().size();
    return true;
  }
  if (!status.ok()) return false;
  message.mutable_end()->set_total_bytes(offset);
  message.mutable_end()->set_job_state(job.job.state());
  message.mutable_end()->set_complete(is_final(job.job.state()));
  return true;
}

grpc::Status FakeSchedulerService::WatchEvents(grpc::ServerContext* context,
                                               const v1::WatchEventsRequest* request,
                                               grpc::ServerWriter<v1::Event>* writer) {
  const OpenCall open(*this);
  if (request->since() == 99) return to_grpc(absl::OutOfRangeError("events up to 100 are gone"));
  writer->SendInitialMetadata();
  std::unique_lock lock(mutex_);
  size_t next = 0;
  while (!context->IsCancelled()) {
    if (next == events_.size()) {
      changed_.wait_for(lock, kCancelCheck);
      continue;
    }
    const v1::Event event = events_[next++];
    if (event.seq() <= request->since()) continue;
    lock.unlock();
    const bool sent = writer->Write(event);
    lock.lock();
    if (!sent) break;
  }
  return grpc::Status::CANCELLED;
}

grpc::Status FakeSchedulerService::find(const std::string& job_id, const std::string& worker_id,
                                        FakeJob** found) {
  const auto job = jobs_.find(job_id);
  if (job == jobs_.end() || (!worker_id.empty() && !is_the_worker(worker_id))) {
    return to_grpc(absl::NotFoundError("no job " + job_id));
  }
  *found = &job->second;
  return grpc::Status::OK;
}

void FakeSchedulerService::end(FakeJob& job, v1::Job::State state, const v1::JobEnd& end_of_job) {
  job.job.set_state(state);
  *job.job.mutable_end() = end_of_job;
  changed_.notify_all();
}

}  // namespace clusterd::testing
