#pragma once

#include <cstdint>
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

using Answer = std::variant<v1::Job, v1::Worker, v1::ListWorkersResponse, v1::Cluster,
                            v1::RegisterWorkerResponse, v1::DeregisterWorkerResponse,
                            OutputLocation, AttemptOutcome>;

// Ends a call.
struct Reply {
  CallId call = 0;
  absl::StatusOr<Answer> answer;
};

// Answers a call from the store: the job is not in memory. Calls back Scheduler::stored_job().
struct ReadStoredJob {
  CallId call = 0;
  std::string job_id;
};

// Looks up the first answer to a call with this key. Calls back Scheduler::first_answer().
struct ReadFirstAnswer {
  CallId call = 0;
  std::string key;
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

// Sends a signal to an attempt and answers the call with the worker's verdict.
struct SignalAttempt {
  CallId call = 0;
  std::string worker_id;
  v1::SignalAttemptRequest request;
  v1::Job job;
};

// Calls the worker at its address and asks who it is; the answer is Scheduler::called_back().
// `fresh` makes a new channel first.
struct CallBack {
  std::string worker_id;
  uint64_t session = 0;
  std::string address;
  bool fresh = false;
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

using Effect = std::variant<Reply, ReadStoredJob, ReadFirstAnswer, Dispatch, StopAttempt,
                            SignalAttempt, CallBack, SendDown, CloseStream>;

// What one event leads to: `persist` is written first; `effects` happen in order once commit
// number `after` is durable (0: at once).
struct Decision {
  StoreBatch persist;
  std::vector<Effect> effects;
  uint64_t after = 0;
};

}  // namespace clusterd
