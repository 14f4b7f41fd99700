#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/backoff.h"
#include "client/output_assembler.h"
#include "clusterd/v1/scheduler_service.pb.h"
#include "core/config.h"

namespace clusterd {

// True for an error that came from no scheduler: none of the addresses answered.
[[nodiscard]] bool is_scheduler_unreachable(const absl::Status& status);

// Calls a scheduler's SchedulerService, the next address where one does not answer.
//
// Owned by its caller; one thread at a time. Every call blocks, has a deadline, and ends CANCELLED
// soon after a stop is requested through `stop`. Once a scheduler has answered, waiting and
// following go on over restarts of scheduler and workers; before, an unreachable scheduler is an
// error at once.
class SchedulerClient {
 public:
  // INVALID_ARGUMENT names the TLS file that is missing or faulty. Connects with the first call.
  // `addr_source`: who named the address, for messages; empty: they do not tell.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<SchedulerClient>> make(
      const ClientConfig& config, std::string addr_source = "");
  ~SchedulerClient();
  SchedulerClient(const SchedulerClient&) = delete;
  SchedulerClient& operator=(const SchedulerClient&) = delete;

  // Errors of these are the scheduler's own, documented at each RPC.
  // start: an empty `request_id` is filled, so that no address sees the job as another one.
  [[nodiscard]] absl::StatusOr<v1::Job> start(v1::StartJobRequest request,
                                              const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Job> stop_job(const v1::StopJobRequest& request,
                                                 const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Job> query(const std::string& job_id,
                                              const std::stop_token& stop = {});
  // Empty request ids of these are filled too.
  [[nodiscard]] absl::StatusOr<v1::Job> signal(v1::SignalJobRequest request,
                                               const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Job> retry(v1::RetryJobRequest request,
                                              const std::stop_token& stop = {});
  [[nodiscard]] absl::Status erase(v1::DeleteJobRequest request, const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::MatchingJobsResponse> stop_matching(
      v1::StopMatchingJobsRequest request, const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::MatchingJobsResponse> retry_matching(
      v1::RetryMatchingJobsRequest request, const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Worker> drain(v1::DrainWorkerRequest request,
                                                 const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Worker> resume(v1::ResumeWorkerRequest request,
                                                  const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Worker> remove(v1::RemoveWorkerRequest request,
                                                  const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::ExplainJobResponse> explain(const v1::ExplainJobRequest& request,
                                                               const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::ListJobsResponse> list_tasks(const v1::ListTasksRequest& request,
                                                                const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::ListJobsResponse> list(const v1::ListJobsRequest& request,
                                                          const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::ListWorkersResponse> list_workers(
      const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::ListScriptsResponse> list_scripts(
      const v1::ListScriptsRequest& request, const std::stop_token& stop = {});
  // Empty request ids of these that change something are filled too.
  [[nodiscard]] absl::StatusOr<v1::Schedule> create_schedule(v1::CreateScheduleRequest request,
                                                             const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Schedule> update_schedule(v1::UpdateScheduleRequest request,
                                                             const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::ListSchedulesResponse> list_schedules(
      const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Schedule> get_schedule(const v1::GetScheduleRequest& request,
                                                          const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Schedule> pause_schedule(v1::PauseScheduleRequest request,
                                                            const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Schedule> resume_schedule(v1::ResumeScheduleRequest request,
                                                             const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Job> trigger_schedule(v1::TriggerScheduleRequest request,
                                                         const std::stop_token& stop = {});
  [[nodiscard]] absl::Status delete_schedule(v1::DeleteScheduleRequest request,
                                             const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Cluster> cluster(const std::stop_token& stop = {});

  [[nodiscard]] absl::StatusOr<v1::ListQueuesResponse> list_queues(
      const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Queue> get_queue(const std::string& name,
                                                    const std::stop_token& stop = {});
  // Empty request ids of these are filled too.
  [[nodiscard]] absl::StatusOr<v1::Queue> set_queue(v1::SetQueueRequest request,
                                                    const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Queue> pause_queue(v1::PauseQueueRequest request,
                                                      const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::Queue> resume_queue(v1::ResumeQueueRequest request,
                                                       const std::stop_token& stop = {});
  [[nodiscard]] absl::StatusOr<v1::DeleteQueueResponse> delete_queue(
      v1::DeleteQueueRequest request, const std::stop_token& stop = {});

  // The job once it has ended. DEADLINE_EXCEEDED after `timeout`; without one there is no bound.
  [[nodiscard]] absl::StatusOr<v1::Job> wait(const std::string& job_id,
                                             std::optional<std::chrono::nanoseconds> timeout,
                                             const std::stop_token& stop = {});
  // Up to 1,000 jobs as they are when the request's wait is over.
  [[nodiscard]] absl::StatusOr<v1::WaitJobsResponse> wait_jobs(const v1::WaitJobsRequest& request,
                                                               const std::stop_token& stop = {});

  // Hands events after `since` to `sink` as they happen, each once and in order, over restarts of
  // the scheduler; ends with the sink's error, CANCELLED by `stop`, or UNAVAILABLE where no
  // scheduler was there for ten minutes. 0: from now on.
  [[nodiscard]] absl::Status watch_events(uint64_t since,
                                          const std::function<absl::Status(const v1::Event&)>& sink,
                                          const std::function<void(const std::string&)>& notice,
                                          const std::stop_token& stop = {});

  // Hands what `output` was made to ask for to `sink`, each byte once and in order; with `follow`
  // until the attempt has ended, over restarts of scheduler and worker. `notice` is told, for
  // people, when the stream is interrupted. UNAVAILABLE: no way to the output for ten minutes, or
  // the job has ended and its worker stays away. DATA_LOSS: bytes are missing or changed. After any
  // error another call with the same `output` goes on where this one ended.
  [[nodiscard]] absl::Status read_output(OutputAssembler& output, const OutputSink& sink,
                                         const std::function<void(const std::string&)>& notice,
                                         const std::stop_token& stop = {});

  // Runs `order`, one of the calls above, again and again while no scheduler can be reached, for
  // ten minutes at most.
  template <typename Order>
  [[nodiscard]] absl::Status insist(Order order, const std::stop_token& stop) {
    Backoff backoff;
    while (true) {
      const absl::Status status = order();
      if (!absl::IsUnavailable(status) || stop.stop_requested()) return status;
      if (backoff.elapsed() > kPatience) return status;
      backoff.pause(stop);
    }
  }

 private:
  static constexpr std::chrono::minutes kPatience{10};
  struct Endpoint;
  struct Caller;  // the calls themselves, which need gRPC's headers
  struct Tls;
  SchedulerClient(ClientConfig config, std::string addr_source);
  // Makes the channels, with the certificates that are current.
  void connect();
  // The same where the files have changed and are good.
  void renew_certificates();

  ClientConfig config_;
  std::string addr_source_;
  std::unique_ptr<Tls> tls_;  // null: plaintext
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  size_t current_ = 0;     // the endpoint that answered last
  bool answered_ = false;  // any of them, ever
};

}  // namespace clusterd
