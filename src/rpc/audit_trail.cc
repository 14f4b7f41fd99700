#include "rpc/audit_trail.h"

#include <ctime>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/ids.h"
#include "core/json_quote.h"
#include "core/log.h"

namespace clusterd {
namespace {

constexpr size_t kMostOfAField = 256;

std::string time_text(WallTime time) {
  const auto since = time.time_since_epoch();
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(since).count();
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                         utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                         static_cast<int>(ms % 1000));
}

// How the caller proved who it is: "certificate", "token", "proxy" or "none".
std::string authentication_of(const Identity& caller) {
  if (caller.credential.empty()) return "none";
  return caller.credential.substr(0, caller.credential.find(':'));
}

// Members of an object, those that are empty left out.
class Line {
 public:
  Line& add(std::string_view key, std::string_view value) {
    if (value.empty()) return *this;
    text_ += text_.empty() ? "{" : ",";
    text_ += json_quote(key) + ":" + json_quote(value.substr(0, kMostOfAField));
    return *this;
  }
  Line& add(const AuditSubject& subject) {
    return add("job_id", subject.job_id)
        .add("worker_id", subject.worker_id)
        .add("request_id", subject.request_id)
        .add("script", subject.script)
        .add("name", subject.name)
        .add("selection", subject.selection)
        .add("jobs", subject.jobs);
  }
  [[nodiscard]] std::string text() const { return text_ + "}"; }

 private:
  std::string text_;
};

Line line(const Clock& clock, std::string_view event, std::string_view id, const Identity& caller,
          std::string_view method) {
  Line line;
  line.add("time", time_text(clock.now().wall))
      .add("event", event)
      .add("call", id)
      .add("who", caller.text())
      .add("role", role_word(caller.role))
      .add("auth", authentication_of(caller))
      .add("method", method.substr(1));
  return line;
}

}  // namespace

AuditedCall::AuditedCall(AuditedCall&& other) noexcept
    : trail_(std::exchange(other.trail_, nullptr)),
      caller_(std::move(other.caller_)),
      id_(std::move(other.id_)),
      method_(other.method_) {}

AuditedCall::~AuditedCall() { end_as("UNKNOWN", {}); }

void AuditedCall::end(const absl::Status& outcome, const AuditSubject& made) {
  end_as(absl::StatusCodeToString(outcome.code()), made);
}

void AuditedCall::end_as(std::string_view outcome, const AuditSubject& made) {
  AuditTrail* const trail = std::exchange(trail_, nullptr);
  if (trail != nullptr) trail->write_end(caller_, id_, method_, outcome, made);
}

AuditTrail::AuditTrail(const Clock& clock, std::unique_ptr<AuditLog> log)
    : clock_(clock), log_(std::move(log)), writer_("audit", clock, [] { return std::nullopt; }) {}

absl::StatusOr<AuditedCall> AuditTrail::begin(const AuditOrigin& origin, const Identity& caller,
                                              std::string_view method, const AuditSubject& subject,
                                              OnFailure on_failure) {
  if (log_ == nullptr) return AuditedCall(caller);
  std::string id = new_uuid_v7(clock_.now().wall);
  Line begin = line(clock_, "begin", id, caller, method);
  begin.add(subject).add("client", origin.client).add("peer", origin.peer).add("door", origin.door);
  const absl::Status written = append(begin.text());
  if (written.ok()) return AuditedCall(*this, caller, std::move(id), method);
  if (on_failure == OnFailure::kContinue) return AuditedCall(caller);
  return absl::UnavailableError("the audit log cannot be written, so nothing has been done: " +
                                std::string(written.message()));
}

void AuditTrail::write_end(const Identity& caller, const std::string& id, std::string_view method,
                           std::string_view outcome, const AuditSubject& made) {
  Line end = line(clock_, "end", id, caller, method);
  end.add(made).add("outcome", outcome);
  writer_.post([this, text = end.text()] { (void)append(text); });
}

absl::Status AuditTrail::append(const std::string& line) {
  absl::Status status = log_->append(line);
  const bool failed_before = failing_.exchange(!status.ok());
  if (!status.ok() && !failed_before) {
    log_error("scheduler",
              "the audit log cannot be written; calls that change something are refused",
              {{"error", status}});
  } else if (status.ok() && failed_before) {
    log_info("scheduler", "the audit log can be written again");
  }
  return status;
}

}  // namespace clusterd
