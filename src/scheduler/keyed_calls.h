#pragma once

#include <grpcpp/support/server_callback.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "rpc/digest.h"
#include "scheduler/scheduler_service.h"
#include "scheduler/unary_call.h"

namespace clusterd {

// What the parts of SchedulerServiceImpl share: calls that change something, and may be repeated.

inline absl::Status check_request_id(const std::string& request_id) {
  constexpr size_t kMaxRequestIdBytes = 128;
  if (request_id.size() <= kMaxRequestIdBytes) return absl::OkStatus();
  return invalid_field("request_id", absl::StrCat("has ", request_id.size(), " bytes, at most ",
                                                  kMaxRequestIdBytes, " are allowed"));
}

// What of a request may stand in the audit.
template <typename Request>
AuditSubject subject_of(const Request& request) {
  AuditSubject subject{.request_id = request.request_id()};
  if constexpr (requires { request.job_id(); }) subject.job_id = request.job_id();
  if constexpr (requires { request.worker_id(); }) subject.worker_id = request.worker_id();
  if constexpr (requires { request.spec(); }) {
    const v1::JobSpec& spec = request.spec();
    subject.worker_id = spec.worker_id();
    subject.script = spec.path().empty() ? spec.command() : spec.path();
  }
  return subject;
}

template <typename Request>
RequestKey SchedulerServiceImpl::key_of(const Identity& caller, const char* method,
                                        const Request& request) const {
  if (request.request_id().empty()) return {};
  Request without_id = request;
  without_id.clear_request_id();
  return {.key = name_of(caller) + '\0' + method + '\0' + request.request_id(),
          .sha256 = sha256_of(without_id)};
}

template <typename Request, typename Response, typename Decide>
grpc::ServerUnaryReactor* SchedulerServiceImpl::start_keyed_call(
    grpc::CallbackServerContext* context, AuditedCall call, const char* method,
    const Request& request, Response* response, Decide decide) {
  const absl::Status status = check_request_id(request.request_id());
  if (!status.ok()) return refuse(context, call, status);
  RequestKey key = key_of(call.caller(), method, request);
  return start_unary_call(
      app_, response,
      [request, key = std::move(key), decide = std::move(decide)](Scheduler& scheduler, CallId id,
                                                                  Now now) mutable {
        return decide(scheduler, id, request, key, now);
      },
      std::move(call));
}

}  // namespace clusterd
