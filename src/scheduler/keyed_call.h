#pragma once

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "rpc/digest.h"
#include "scheduler/scheduler_service.h"
#include "scheduler/unary_call.h"

namespace clusterd {

// Calls that may be repeated with a request id: what the sources of SchedulerServiceImpl share.

inline constexpr size_t kMaxRequestIdBytes = 128;

inline absl::Status check_request_id(const std::string& request_id) {
  if (request_id.size() <= kMaxRequestIdBytes) return absl::OkStatus();
  return invalid_field("request_id", absl::StrCat("has ", request_id.size(), " bytes, at most ",
                                                  kMaxRequestIdBytes, " are allowed"));
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
