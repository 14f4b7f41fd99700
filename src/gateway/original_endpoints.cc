#include "gateway/original_endpoints.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "clusterd/job_states.h"
#include "clusterd/v1/scheduler_service.pb.h"
#include "core/original_words.h"
#include "core/proto_time.h"
#include "core/stop_patience.h"
#include "gateway/call_metadata.h"
#include "gateway/output_answer.h"
#include "gateway/problem.h"

namespace clusterd::gateway {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::nanoseconds kLongestWait = std::chrono::minutes(10);  // of one WaitJob

// As Go's encoding/json writes a string, which also escapes what HTML would read.
std::string go_quote(std::string_view text) {
  return absl::StrReplaceAll(json_quote(text), {{"<", "\\u003c"},
                                                {">", "\\u003e"},
                                                {"&", "\\u0026"},
                                                {"\u2028", "\\u2028"},
                                                {"\u2029", "\\u2029"}});
}

HttpResponse json_answer(int status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.content_type = "application/json";
  response.body = std::move(body) + "\n";
  return response;
}

std::string* field_named(OriginalRequest& request, std::string_view key) {
  const std::string name = absl::AsciiStrToLower(absl::string_view(key.data(), key.size()));
  if (name == "worker_id") return &request.worker_id;
  if (name == "job_id") return &request.job_id;
  if (name == "command") return &request.command;
  if (name == "path") return &request.path;
  return nullptr;
}

}  // namespace

absl::StatusOr<OriginalRequest> parse_original_request(std::string_view body) {
  boost::json::error_code error;
  const boost::json::value document =
      boost::json::parse(boost::json::string_view(body.data(), body.size()), error);
  if (error) return absl::InvalidArgumentError("malformed JSON: " + error.message());
  if (!document.is_object()) return absl::InvalidArgumentError("a JSON object is needed");
  OriginalRequest request;
  for (const auto& member : document.get_object()) {
    std::string* field = field_named(request, std::string_view(member.key()));
    if (!field || member.value().is_null()) continue;
    const auto* text = member.value().if_string();
    if (!text) return absl::InvalidArgumentError(std::string(member.key()) + " must be a string");
    *field = std::string(*text);
  }
  return request;
}

std::string original_query_body(const v1::Job& job) {
  const bool done = is_final(job.state());
  const bool error = done && job.state() != v1::Job::SUCCEEDED;
  return std::string("{\"done\":") + (done ? "true" : "false") +
         ",\"error\":" + (error ? "true" : "false") +
         ",\"error_text\":" + go_quote(error ? original_error_text(job.end()) : "") + "}\n";
}

HttpResponse original_error(const absl::Status& status, int http_status) {
  const std::string_view text(status.message().data(), status.message().size());
  HttpResponse response =
      json_answer(http_status != 0 ? http_status : code_name(status.code()).http_status,
                  "{\"error\":" + go_quote(text) + "}");
  const std::string seconds = retry_after(status);
  if (!seconds.empty()) response.headers.emplace_back("Retry-After", seconds);
  if (absl::IsUnauthenticated(status)) {
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"clusterd\"");
  }
  return response;
}

OriginalEndpoints::OriginalEndpoints(const ServiceChannel& channel,
                                     const google::protobuf::ServiceDescriptor& service)
    : channel_(channel), service_(service) {}

bool OriginalEndpoints::has(std::string_view path) {
  return path == "/start" || path == "/stop" || path == "/query" || path == "/output";
}

asio::awaitable<void> OriginalEndpoints::answer(const Exchange& exchange) const {
  HttpResponse response;
  if (exchange.request.verb != "POST") {
    response = original_error(absl::UnimplementedError("method not allowed"), 405);
    response.headers.emplace_back("Allow", "POST");
    co_await exchange.responder.send(response);
    co_return;
  }
  const absl::StatusOr<OriginalRequest> asked = parse_original_request(exchange.request.body);
  if (!asked.ok()) {
    response = original_error(asked.status());
  } else if (exchange.request.path == "/output") {
    co_await output(exchange, *asked);
    co_return;
  } else if (exchange.request.path == "/start") {
    response = co_await start(exchange, *asked);
  } else if (exchange.request.path == "/stop") {
    response = co_await stop(exchange, *asked);
  } else {
    response = co_await query(exchange, *asked);
  }
  co_await exchange.responder.send(response);
}

asio::awaitable<HttpResponse> OriginalEndpoints::start(const Exchange& exchange,
                                                       const OriginalRequest& asked) const {
  v1::StartJobRequest request;
  request.mutable_spec()->set_worker_id(asked.worker_id);
  request.mutable_spec()->set_command(asked.command);
  request.mutable_spec()->set_path(asked.path);
  // The original passed the path on as one argument, even where it was empty.
  if (asked.path.empty() && !asked.command.empty()) request.mutable_spec()->add_args("");
  request.set_request_id(std::string(exchange.request.header("idempotency-key").value_or("")));
  const absl::StatusOr<v1::Job> job = co_await call(exchange, "StartJob", request);
  if (absl::IsNotFound(job.status())) {
    co_return original_error(absl::NotFoundError("worker not found"));
  }
  if (!job.ok()) co_return original_error(job.status());
  co_return json_answer(201, "{\"job_id\":" + go_quote(job->job_id()) + "}");
}

asio::awaitable<HttpResponse> OriginalEndpoints::stop(const Exchange& exchange,
                                                      const OriginalRequest& asked) const {
  v1::StopJobRequest request;
  request.set_worker_id(asked.worker_id);
  request.set_job_id(asked.job_id);
  absl::StatusOr<v1::Job> job = co_await call(exchange, "StopJob", request);
  if (job.ok() && !is_final(job->state())) {
    job = co_await wait_for_end(exchange, asked, stop_patience(*job));
  }
  if (!job.ok()) {
    const absl::Status status = co_await clear_up(exchange, job.status(), asked);
    co_return original_error(status);
  }
  if (!is_final(job->state())) co_return original_error(not_stopped_in_time(*job));
  co_return json_answer(200, "{\"success\":true}");
}

asio::awaitable<absl::StatusOr<v1::Job>> OriginalEndpoints::wait_for_end(
    const Exchange& exchange, const OriginalRequest& asked,
    std::chrono::nanoseconds patience) const {
  v1::WaitJobRequest wait;
  wait.set_worker_id(asked.worker_id);
  wait.set_job_id(asked.job_id);
  if (absl::Status watched = exchange.watch_client(); !watched.ok()) co_return watched;
  const auto until = steady_clock::now() + patience;
  absl::StatusOr<v1::Job> job;
  do {
    const std::chrono::nanoseconds left = until - steady_clock::now();
    *wait.mutable_timeout() = to_proto(std::clamp(left, left.zero(), kLongestWait));
    job = co_await call(exchange, "WaitJob", wait);
  } while (job.ok() && !is_final(job->state()) && steady_clock::now() < until);
  co_await exchange.reader.stop_watch();
  co_return job;
}

asio::awaitable<HttpResponse> OriginalEndpoints::query(const Exchange& exchange,
                                                       const OriginalRequest& asked) const {
  v1::QueryJobRequest request;
  request.set_worker_id(asked.worker_id);
  request.set_job_id(asked.job_id);
  const absl::StatusOr<v1::Job> job = co_await call(exchange, "QueryJob", request);
  if (!job.ok()) {
    const absl::Status status = co_await clear_up(exchange, job.status(), asked);
    co_return original_error(status);
  }
  HttpResponse response;
  response.content_type = "application/json";
  response.body = original_query_body(*job);
  co_return response;
}

asio::awaitable<void> OriginalEndpoints::output(const Exchange& exchange,
                                                const OriginalRequest& asked) const {
  // The worker and the job are looked up first, so that the texts for both are the known ones.
  v1::QueryJobRequest lookup;
  lookup.set_worker_id(asked.worker_id);
  lookup.set_job_id(asked.job_id);
  const absl::StatusOr<v1::Job> job = co_await call(exchange, "QueryJob", lookup);
  if (!job.ok()) {
    const absl::Status status = co_await clear_up(exchange, job.status(), asked);
    co_await exchange.responder.send(original_error(status));
    co_return;
  }
  auto request = std::make_unique<v1::StreamJobRequest>();
  request->set_worker_id(asked.worker_id);
  request->set_job_id(asked.job_id);
  request->set_follow(true);
  OutputAnswer answer(exchange, channel_, original_error, false);
  co_await answer.run(*service_.FindMethodByName("StreamJob"), std::move(request));
}

asio::awaitable<absl::StatusOr<v1::Job>> OriginalEndpoints::call(
    const Exchange& exchange, const char* method, const google::protobuf::Message& request) const {
  const HeaderList metadata = call_metadata(exchange.request);
  absl::StatusOr<MessagePtr> answer =
      co_await channel_.call(exchange.caller, *service_.FindMethodByName(method), request,
                             call_timeout(request), exchange.cancellation, metadata);
  if (!answer.ok()) co_return answer.status();
  co_return std::move(static_cast<v1::Job&>(**answer));
}

asio::awaitable<absl::Status> OriginalEndpoints::clear_up(const Exchange& exchange,
                                                          absl::Status status,
                                                          const OriginalRequest& asked) const {
  if (!absl::IsNotFound(status)) co_return status;
  if (asked.worker_id.empty()) co_return absl::NotFoundError("job not found");
  v1::GetWorkerRequest request;
  request.set_worker_id(asked.worker_id);
  const HeaderList metadata = call_metadata(exchange.request);
  const absl::StatusOr<MessagePtr> worker =
      co_await channel_.call(exchange.caller, *service_.FindMethodByName("GetWorker"), request,
                             call_timeout(request), exchange.cancellation, metadata);
  co_return absl::NotFoundError(absl::IsNotFound(worker.status()) ? "worker not found"
                                                                  : "job not found");
}

}  // namespace clusterd::gateway
