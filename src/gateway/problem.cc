#include "gateway/problem.h"

#include <array>
#include <chrono>

#include "core/field_error.h"

namespace clusterd::gateway {
namespace {

using absl::StatusCode;

constexpr std::array kCodes = {
    CodeName{StatusCode::kUnknown, "UNKNOWN", 500},
    CodeName{StatusCode::kOk, "OK", 200},
    CodeName{StatusCode::kCancelled, "CANCELLED", 499},
    CodeName{StatusCode::kInvalidArgument, "INVALID_ARGUMENT", 400},
    CodeName{StatusCode::kDeadlineExceeded, "DEADLINE_EXCEEDED", 504},
    CodeName{StatusCode::kNotFound, "NOT_FOUND", 404},
    CodeName{StatusCode::kAlreadyExists, "ALREADY_EXISTS", 409},
    CodeName{StatusCode::kPermissionDenied, "PERMISSION_DENIED", 403},
    CodeName{StatusCode::kResourceExhausted, "RESOURCE_EXHAUSTED", 429},
    CodeName{StatusCode::kFailedPrecondition, "FAILED_PRECONDITION", 409},
    CodeName{StatusCode::kAborted, "ABORTED", 409},
    CodeName{StatusCode::kOutOfRange, "OUT_OF_RANGE", 416},
    CodeName{StatusCode::kUnimplemented, "UNIMPLEMENTED", 501},
    CodeName{StatusCode::kInternal, "INTERNAL", 500},
    CodeName{StatusCode::kUnavailable, "UNAVAILABLE", 503},
    CodeName{StatusCode::kDataLoss, "DATA_LOSS", 500},
    CodeName{StatusCode::kUnauthenticated, "UNAUTHENTICATED", 401},
};

constexpr std::array kReasons = {
    std::pair{100, "Continue"},
    std::pair{200, "OK"},
    std::pair{201, "Created"},
    std::pair{204, "No Content"},
    std::pair{304, "Not Modified"},
    std::pair{400, "Bad Request"},
    std::pair{401, "Unauthorized"},
    std::pair{403, "Forbidden"},
    std::pair{404, "Not Found"},
    std::pair{405, "Method Not Allowed"},
    std::pair{408, "Request Timeout"},
    std::pair{409, "Conflict"},
    std::pair{410, "Gone"},
    std::pair{413, "Content Too Large"},
    std::pair{416, "Range Not Satisfiable"},
    std::pair{417, "Expectation Failed"},
    std::pair{429, "Too Many Requests"},
    std::pair{431, "Request Header Fields Too Large"},
    std::pair{499, "Client Closed Request"},
    std::pair{500, "Internal Server Error"},
    std::pair{501, "Not Implemented"},
    std::pair{503, "Service Unavailable"},
    std::pair{504, "Gateway Timeout"},
    std::pair{505, "HTTP Version Not Supported"},
};

}  // namespace

std::string_view reason_phrase(int status) {
  for (const auto& [number, text] : kReasons) {
    if (number == status) return text;
  }
  return "";
}

const CodeName& code_name(StatusCode code) {
  for (const CodeName& row : kCodes) {
    if (row.code == code) return row;
  }
  return kCodes[0];
}

std::string retry_after(const absl::Status& status) {
  const auto delay = retry_delay_of(status);
  if (delay) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(*delay).count();
    return std::to_string(std::max<int64_t>(seconds, 1));
  }
  return status.code() == StatusCode::kResourceExhausted ? "1" : "";
}

HttpResponse problem(const absl::Status& status, int http_status) {
  const CodeName& code = code_name(status.code());
  HttpResponse response;
  response.status = http_status != 0 ? http_status : code.http_status;
  response.content_type = "application/problem+json";
  const std::string_view detail(status.message().data(), status.message().size());
  response.body =
      "{\"type\":\"about:blank\",\"title\":" + json_quote(reason_phrase(response.status)) +
      ",\"status\":" + std::to_string(response.status) + ",\"detail\":" + json_quote(detail) +
      ",\"code\":" + json_quote(code.name);
  const std::string field = field_of(status);
  if (!field.empty()) response.body += ",\"field\":" + json_quote(field);
  response.body += "}\n";
  const std::string seconds = retry_after(status);
  if (!seconds.empty()) response.headers.emplace_back("Retry-After", seconds);
  if (absl::IsUnauthenticated(status)) {
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"clusterd\"");
  }
  return response;
}

}  // namespace clusterd::gateway
