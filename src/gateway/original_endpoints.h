#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "clusterd/v1/job.pb.h"
#include "gateway/exchange.h"
#include "gateway/service_channel.h"

namespace clusterd::gateway {

// What a request to one of the original endpoints may have; what is missing is empty.
struct OriginalRequest {
  std::string worker_id;
  std::string job_id;
  std::string command;
  std::string path;
};

// Reads such a request: keys in any letter case, the last of several wins, unknown ones are
// ignored. INVALID_ARGUMENT: no JSON object, or a known key whose value is no string.
[[nodiscard]] absl::StatusOr<OriginalRequest> parse_original_request(std::string_view body);

// The body of an answer to /query: {"done":…,"error":…,"error_text":…} and a line's end.
[[nodiscard]] std::string original_query_body(const v1::Job& job);

// {"error":"…"} with the true status.
[[nodiscard]] HttpResponse original_error(const absl::Status& status, int http_status = 0);

// POST /start, /stop, /query and /output, byte for byte as the scheduler that clusterd replaces
// answered them, on top of SchedulerService. Any thread; owned by the Dispatcher.
class OriginalEndpoints {
 public:
  // Both outlive this.
  OriginalEndpoints(const ServiceChannel& channel,
                    const google::protobuf::ServiceDescriptor& service);

  [[nodiscard]] static bool has(std::string_view path);
  asio::awaitable<void> answer(const Exchange& exchange) const;

 private:
  asio::awaitable<HttpResponse> start(const Exchange& exchange, const OriginalRequest& asked) const;
  asio::awaitable<HttpResponse> stop(const Exchange& exchange, const OriginalRequest& asked) const;
  asio::awaitable<HttpResponse> query(const Exchange& exchange, const OriginalRequest& asked) const;
  asio::awaitable<void> output(const Exchange& exchange, const OriginalRequest& asked) const;

  // The job as it is when it has ended or patience has.
  asio::awaitable<absl::StatusOr<v1::Job>> wait_for_end(const Exchange& exchange,
                                                        const OriginalRequest& asked,
                                                        std::chrono::nanoseconds patience) const;
  asio::awaitable<absl::StatusOr<v1::Job>> call(const Exchange& exchange, const char* method,
                                                const google::protobuf::Message& request) const;
  // NOT_FOUND says here whether it is the worker or the job that is unknown.
  asio::awaitable<absl::Status> clear_up(const Exchange& exchange, absl::Status status,
                                         const OriginalRequest& asked) const;

  const ServiceChannel& channel_;
  const google::protobuf::ServiceDescriptor& service_;
};

}  // namespace clusterd::gateway
