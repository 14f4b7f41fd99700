#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "clusterd/v1/scheduler_service.grpc.pb.h"

namespace clusterd::testing {

// A SchedulerService in memory, with one worker `w1` named `one` whose jobs run until a test ends
// them. A script `missing.sh` does not exist, a command `forbidden` is not allowed, and a name
// `full` finds the queue full. Any thread; it outlives the server that it is registered with.
class FakeSchedulerService final : public v1::SchedulerService::Service {
 public:
  // Adds to the output of a job and wakes its followers.
  void append_output(const std::string& job_id, const std::string& bytes);
  // Ends a job; its followers get their last message.
  void end_job(const std::string& job_id, v1::Job::State state, const v1::JobEnd& end);
  // Ends the job's streams with this error, after what they have sent.
  void break_streams(const std::string& job_id, const grpc::Status& status);
  // With this, frames carry a wrong checksum.
  void spoil_checksums(bool spoil);
  // Stopped jobs end at once where set (the default).
  void set_stops_at_once(bool stops);
  // One WaitJob waits no longer than this; 10 min as with the real one.
  void set_longest_wait(std::chrono::nanoseconds longest);
  void add_event(const v1::Event& event);

  // For what arrived.
  [[nodiscard]] v1::ListJobsRequest last_list() const;
  [[nodiscard]] v1::StreamJobRequest last_stream() const;
  [[nodiscard]] size_t job_count() const;
  [[nodiscard]] uint64_t output_bytes_sent() const;
  // Blocks until so many calls of WaitJob have come.
  void wait_for_waits(size_t count);
  // Waits until no stream and no wait is open any more; false after `seconds`.
  [[nodiscard]] bool wait_until_idle(int seconds);

  grpc::Status StartJob(grpc::ServerContext* context, const v1::StartJobRequest* request,
                        v1::Job* response) override;
  grpc::Status StopJob(grpc::ServerContext* context, const v1::StopJobRequest* request,
                       v1::Job* response) override;
  grpc::Status QueryJob(grpc::ServerContext* context, const v1::QueryJobRequest* request,
                        v1::Job* response) override;
  grpc::Status WaitJob(grpc::ServerContext* context, const v1::WaitJobRequest* request,
                       v1::Job* response) override;
  grpc::Status ListJobs(grpc::ServerContext* context, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override;
  grpc::Status GetWorker(grpc::ServerContext* context, const v1::GetWorkerRequest* request,
                         v1::Worker* response) override;
  grpc::Status StreamJob(grpc::ServerContext* context, const v1::StreamJobRequest* request,
                         grpc::ServerWriter<v1::StreamJobResponse>* writer) override;
  grpc::Status WatchEvents(grpc::ServerContext* context, const v1::WatchEventsRequest* request,
                           grpc::ServerWriter<v1::Event>* writer) override;

 private:
  struct FakeJob {
    v1::Job job;
    std::string output;
    grpc::Status broken;
  };
  // Counts a call that may take long, for wait_until_idle().
  class OpenCall;

  // Both with mutex_ held.
  [[nodiscard]] grpc::Status find(const std::string& job_id, const std::string& worker_id,
                                  FakeJob** found);
  void end(FakeJob& job, v1::Job::State state, const v1::JobEnd& end);
  // What a stream has to send at `offset`; waits for it. False: `status` ends the stream.
  bool next_message(grpc::ServerContext& context, const v1::StreamJobRequest& request,
                    uint64_t& offset, v1::StreamJobResponse& message, grpc::Status& status);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, FakeJob> jobs_;                // all below guarded by mutex_
  std::map<std::string, std::string> job_of_request_;  // by request id
  std::vector<v1::Event> events_;
  v1::ListJobsRequest last_list_;
  v1::StreamJobRequest last_stream_;
  uint64_t sent_ = 0;
  int open_calls_ = 0;
  bool stops_at_once_ = true;
  std::chrono::nanoseconds longest_wait_ = std::chrono::minutes(10);
  size_t waits_ = 0;
  bool spoils_checksums_ = false;
};

}  // namespace clusterd::testing
