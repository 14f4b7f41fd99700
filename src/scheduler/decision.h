#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/cluster_service.pb.h"
#include "clusterd/v1/scheduler_service.pb.h"
#include "clusterd/v1/worker_service.pb.h"
#include "store/store.h"

namespace clusterd {

// Names a caller that waits for one answer. Given by the effect runner, never used twice.
using CallId = uint64_t;

// Names one open Session stream. Given by the effect runner, never used twice.
using StreamId = uint64_t;

// Where an attempt's output is to be had.
struct OutputLocation {
  v1::Job job;            // as it is now
  uint32_t attempt = 0;   // 0: none has been made
  std::string worker_id;  // empty: there is no output, and none will come
  uint64_t session = 0;   // the worker's
};

// How an attempt stands when its output has been read to the end.
struct AttemptOutcome {
  v1::Job::State job_state = v1::Job::STATE_UNSPECIFIED;
  bool another_attempt = false;
};

using Answer =
    std::variant<v1::Job, v1::Worker, v1::ListWorkersResponse, v1::Cluster, v1::ExplainJobResponse,
                 v1::DeleteJobResponse, v1::MatchingJobsResponse, v1::RegisterWorkerResponse,
                 v1::DeregisterWorkerResponse, OutputLocation, AttemptOutcome, v1::Schedule,
                 v1::ListSchedulesResponse, v1::DeleteScheduleResponse, v1::Queue,
                 v1::ListQueuesResponse, v1::DeleteQueueResponse>;

// Ends a call.
struct Reply {
  CallId call = 0;
  absl::StatusOr<Answer> answer;
};

// Reads what is not in memory. Calls back Scheduler::looked_up().
struct LookUp {
  uint64_t id = 0;
  std::string request_key;  // empty: none
  std::vector<std::string> job_ids;
  std::string external_id;  // of a job; empty: none
  bool with_tasks = false;  // the recorded tasks of the first job too
};

// Looks for jobs that may be deleted. Calls back Scheduler::expired().
struct FindExpired {
  WallTime before;
  uint64_t max_jobs = 0;
  size_t limit = 0;
};

// Looks for a page of jobs. Calls back Scheduler::matched().
struct FindMatching {
  uint64_t id = 0;
  v1::ListJobsRequest request;  // `worker_id` is an id
};

// Tells a worker which output it may delete, if the store knows of any.
struct SendDoomed {
  std::string worker_id;
  StreamId stream = 0;
  v1::SessionResponse message;  // without its names
};

// Starts an attempt. Runs of these for one worker travel in one StartJobs.
struct Dispatch {
  std::string worker_id;
  uint64_t session = 0;
  v1::StartAttempt attempt;
};

// Stops an attempt. Runs of these for one worker travel in one StopJobs.
struct StopAttempt {
  std::string worker_id;
  uint64_t session = 0;
  v1::AttemptKey key;
};

// Sends a signal to an attempt and answers the call with the worker's verdict. Where that is an
// error and there is a request key, calls back Scheduler::signal_failed().
struct SignalAttempt {
  CallId call = 0;
  std::string worker_id;
  v1::SignalAttemptRequest request;
  v1::Job job;
  std::string request_key;
};

// Calls the worker at its address and asks who it is; the answer is Scheduler::called_back().
// `fresh` makes a new channel first.
struct CallBack {
  std::string worker_id;
  std::string name;  // which its certificate must have, where there are certificates
  uint64_t session = 0;
  std::string address;
  bool fresh = false;
};

// Drops the channel of a worker that is not known any more.
struct ForgetLink {
  std::string worker_id;
};

// Sends a message down a Session.
struct SendDown {
  StreamId stream = 0;
  v1::SessionResponse message;
};

// Ends a Session stream.
struct CloseStream {
  StreamId stream = 0;
  absl::Status status;
};

// A worker that speaks another protocol is a member from now on: somebody has to speak for it.
struct AdmitOriginal {
  v1::Worker worker;
  std::vector<v1::HeldAttempt> held;  // what it runs, as far as is known
  bool remembered = false;            // from before this term
};

// It is a member no more.
struct DismissOriginal {
  std::string worker_id;
};

// How its attempt ended is known from elsewhere.
struct ReleaseOriginal {
  std::string worker_id;
  v1::AttemptKey key;
};

using Effect = std::variant<Reply, LookUp, FindExpired, FindMatching, SendDoomed, Dispatch,
                            StopAttempt, SignalAttempt, CallBack, ForgetLink, SendDown, CloseStream,
                            AdmitOriginal, DismissOriginal, ReleaseOriginal>;

// What a LookUp found; the jobs in its order, NOT_FOUND where there is none.
struct LookedUp {
  std::optional<internal::IdempotencyRecord> first_answer;
  std::vector<absl::StatusOr<v1::Job>> jobs;
  std::string external_job;  // id of the job that has that external id; empty: none
  RecordedTasks tasks;
};

// What a FindMatching found, newest first; `next_page_token` empty: it was the last page.
struct MatchedJobs {
  std::vector<std::string> job_ids;
  std::string next_page_token;
};

// What one event leads to: `persist` is written first; `effects` happen in order once commit
// number `after` is durable (0: at once).
struct Decision {
  StoreBatch persist;
  std::vector<Effect> effects;
  uint64_t after = 0;
};

}  // namespace clusterd
