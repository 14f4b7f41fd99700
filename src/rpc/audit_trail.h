#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/audit_log.h"
#include "core/clock.h"
#include "core/event_loop.h"
#include "rpc/identity.h"

namespace clusterd {

// What a call is about; empty: nothing of the kind. Holds nothing that may be a secret: no
// arguments, variables or input.
struct AuditSubject {
  std::string job_id;
  std::string worker_id;
  std::string request_id;
  std::string script;     // the path of a job's script, else its program
  std::string selection;  // which jobs a call about many is about
  std::string jobs;       // how many they were
  std::string name;       // of a schedule
};

// Where a call comes from.
struct AuditOrigin {
  std::string client;     // IP address of the client, behind a proxy too
  std::string peer;       // of the other end of the connection
  std::string_view door;  // "grpc" or "http"
};

class AuditTrail;

// One call of the trail, whose begin has been written. Movable; any thread, one at a time.
class AuditedCall {
 public:
  explicit AuditedCall(Identity caller) : caller_(std::move(caller)) {}  // is not written
  AuditedCall(AuditTrail& trail, Identity caller, std::string id, std::string_view method)
      : trail_(&trail), caller_(std::move(caller)), id_(std::move(id)), method_(method) {}
  AuditedCall(AuditedCall&& other) noexcept;
  AuditedCall& operator=(AuditedCall&&) = delete;
  AuditedCall(const AuditedCall&) = delete;
  AuditedCall& operator=(const AuditedCall&) = delete;
  ~AuditedCall();  // a call that has not ended is told as one of unknown outcome

  [[nodiscard]] const Identity& caller() const { return caller_; }
  // Has the outcome written, soon; `made` is what the call has made. The first time only. Does not
  // block.
  void end(const absl::Status& outcome, const AuditSubject& made = {});

 private:
  void end_as(std::string_view outcome, const AuditSubject& made);

  AuditTrail* trail_ = nullptr;  // null: nothing is to be written any more
  Identity caller_;
  std::string id_;
  std::string_view method_;
};

// Writes of every call that changes something who made it, what it is, and from where, before it is
// carried out, and its outcome afterwards; see docs/security.md#audit.
//
// Owned by run_scheduler; outlives the servers. Any thread: begins are written on the caller's,
// which may block, outcomes on a thread of its own. Not more of them wait than there are calls
// under way, because a begin that cannot be written holds up its call.
class AuditTrail {
 public:
  enum class OnFailure { kRefuse, kContinue };

  // `log` null: nothing is written. `clock` outlives this.
  AuditTrail(const Clock& clock, std::unique_ptr<AuditLog> log);
  AuditTrail(const AuditTrail&) = delete;
  AuditTrail& operator=(const AuditTrail&) = delete;

  // `method` is a constant, "/service/Method". UNAVAILABLE, unless `on_failure` says otherwise: the
  // log cannot be written.
  [[nodiscard]] absl::StatusOr<AuditedCall> begin(const AuditOrigin& origin, const Identity& caller,
                                                  std::string_view method,
                                                  const AuditSubject& subject,
                                                  OnFailure on_failure);

 private:
  friend class AuditedCall;
  // Posts a line about the end of a call.
  void write_end(const Identity& caller, const std::string& id, std::string_view method,
                 std::string_view outcome, const AuditSubject& made);
  // Logs the first failure, and the first success after it.
  absl::Status append(const std::string& line);

  const Clock& clock_;
  const std::unique_ptr<AuditLog> log_;
  std::atomic<bool> failing_ = false;
  EventLoop writer_;  // last: its thread ends before what it uses
};

}  // namespace clusterd
