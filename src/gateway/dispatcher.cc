#include "gateway/dispatcher.h"

#include <algorithm>

#include "clusterd/v1/scheduler_service.pb.h"
#include "core/log.h"
#include "gateway/browser_rules.h"
#include "gateway/call_metadata.h"
#include "gateway/cluster_metrics.h"
#include "gateway/dashboard.h"
#include "gateway/event_answer.h"
#include "gateway/openapi.h"
#include "gateway/output_answer.h"
#include "gateway/problem.h"
#include "gateway/transcoder.h"

namespace clusterd::gateway {
namespace {

constexpr std::string_view kOpenApi = "/openapi.json";
constexpr std::string_view kMetrics = "/metrics";
constexpr std::chrono::nanoseconds kMetricsTimeout = std::chrono::seconds(5);

const google::protobuf::ServiceDescriptor& scheduler_service() {
  return *v1::StartJobRequest::descriptor()->file()->FindServiceByName("SchedulerService");
}

bool is_probe(std::string_view path) { return path == "/healthz" || path == "/readyz"; }

// What holds nothing of the cluster's.
bool is_public(std::string_view path) { return path == kOpenApi || is_dashboard_path(path); }

HttpResponse not_allowed(std::vector<std::string> verbs) {
  if (std::find(verbs.begin(), verbs.end(), "GET") != verbs.end()) verbs.push_back("HEAD");
  std::sort(verbs.begin(), verbs.end());
  verbs.erase(std::unique(verbs.begin(), verbs.end()), verbs.end());
  std::string allow;
  for (const std::string& verb : verbs) allow += (allow.empty() ? "" : ", ") + verb;
  HttpResponse response =
      problem(absl::UnimplementedError("this path takes " + allow + " only"), 405);
  response.headers.emplace_back("Allow", allow);
  return response;
}

// Whom the connection's certificate names; nobody where it has none. A refusal is logged.
absl::StatusOr<std::optional<Identity>> certificate_of(const HttpPeer& peer) {
  if (peer.secure == nullptr) return std::nullopt;
  auto identity = peer.secure->identity();
  if (!identity.ok()) {
    log_warning("scheduler", "request refused",
                {{"peer", peer.address}, {"reason", std::string(identity.status().message())}});
  }
  return identity;
}

HttpResponse success(const Route& route, const google::protobuf::Message& message) {
  auto json = to_json(message);
  if (!json.ok()) return problem(json.status());
  HttpResponse response;
  response.status = route.answer.status() != 0 ? route.answer.status() : 200;
  response.content_type = "application/json";
  response.body = *std::move(json) + "\n";
  if (!route.answer.location().empty()) {
    response.headers.emplace_back("Location", expand_location(route.answer.location(), message));
  }
  return response;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Dispatcher>> Dispatcher::make(std::shared_ptr<grpc::Channel> channel,
                                                             std::vector<std::string> allowed_hosts,
                                                             Readiness readiness,
                                                             MetricsSource metrics,
                                                             bool original_endpoints,
                                                             const CallerRules& callers) {
  auto routes = RouteTable::make(scheduler_service());
  if (!routes.ok()) return routes.status();
  return std::unique_ptr<Dispatcher>(
      new Dispatcher(std::move(channel), std::move(allowed_hosts), std::move(readiness),
                     std::move(metrics), original_endpoints, callers, *std::move(routes)));
}

Dispatcher::Dispatcher(std::shared_ptr<grpc::Channel> channel,
                       std::vector<std::string> allowed_hosts, Readiness readiness,
                       MetricsSource metrics, bool original_endpoints, const CallerRules& callers,
                       RouteTable routes)
    : channel_(std::move(channel)),
      allowed_hosts_(std::move(allowed_hosts)),
      readiness_(std::move(readiness)),
      metrics_(std::move(metrics)),
      has_original_endpoints_(original_endpoints),
      callers_(callers),
      routes_(std::move(routes)),
      openapi_(openapi_document(routes_)),
      counted_(routes_),
      original_(channel_, scheduler_service()) {}

std::string Dispatcher::client_address(const HttpPeer& peer, const HttpRequest& request) const {
  return callers_.client_address(peer.address, request.header("x-forwarded-for").value_or(""));
}

absl::Status Dispatcher::admit(const Exchange& exchange) const {
  const HttpRequest& request = exchange.request;
  if (is_probe(request.path)) return absl::OkStatus();
  absl::Status status = check_browser_rules(request, allowed_hosts_);
  if (!status.ok() || is_public(request.path)) return status;
  const auto certificate = certificate_of(exchange.peer);
  if (!certificate.ok()) return certificate.status();
  const auto identity =
      callers_.identify({.peer = exchange.peer.address,
                         .certificate = *certificate,
                         .authorization = request.header("authorization").value_or(""),
                         .forwarded_client = request.header(kForwardedClientHeader).value_or(""),
                         .is_same_user = [&exchange] { return exchange.peer.is_same_user; }},
                        std::chrono::system_clock::now());
  if (identity.ok()) exchange.caller.identity = *identity;
  return identity.status();
}

std::string Dispatcher::label_of(const HttpRequest& request) const {
  if (request.path.empty()) return "other";  // it could not be read
  if (is_probe(request.path) || request.path == kOpenApi || request.path == kMetrics ||
      OriginalEndpoints::has(request.path)) {
    return request.path;
  }
  if (is_dashboard_path(request.path)) return "dashboard";
  const auto match = routes_.find(request.verb, request.path);
  return match.ok() && match->route != nullptr ? path_template(*match->route) : "other";
}

void Dispatcher::count(const HttpRequest& request, const Responder& responder,
                       std::chrono::nanoseconds time) const {
  counted_.observe(request.verb, label_of(request), responder.status(), time);
}

asio::awaitable<void> Dispatcher::handle(const Exchange& exchange) const {
  const HttpRequest& request = exchange.request;
  const bool original = has_original_endpoints_ && OriginalEndpoints::has(request.path);
  const absl::Status admitted = admit(exchange);
  if (!admitted.ok()) {
    HttpResponse refusal = original ? original_error(admitted) : problem(admitted);
    co_await exchange.responder.send(std::move(refusal));
    co_return;
  }
  if (original) {
    co_await original_.answer(exchange);
  } else if (is_probe(request.path) || is_public(request.path)) {
    co_await exchange.responder.send(fixed_answer(request));
  } else if (request.path == kMetrics) {
    co_await answer_metrics(exchange);
  } else {
    co_await handle_route(exchange);
  }
}

asio::awaitable<absl::StatusOr<MessagePtr>> Dispatcher::ask(
    const Exchange& exchange, const char* method, const google::protobuf::Message& request) const {
  const HeaderList metadata;
  co_return co_await channel_.call(exchange.caller, *scheduler_service().FindMethodByName(method),
                                   request, kMetricsTimeout, exchange.cancellation, metadata);
}

asio::awaitable<void> Dispatcher::answer_metrics(const Exchange& exchange) const {
  if (exchange.request.verb != "GET" && exchange.request.verb != "HEAD") {
    HttpResponse refusal = fixed_answer(exchange.request);
    co_await exchange.responder.send(std::move(refusal));
    co_return;
  }
  exchange.watch_short_call();
  const v1::GetClusterRequest cluster_request;
  const v1::ListWorkersRequest workers_request;
  const auto cluster = co_await ask(exchange, "GetCluster", cluster_request);
  const auto workers = co_await ask(exchange, "ListWorkers", workers_request);
  const v1::ListQueuesRequest queues_request;
  const auto queues = co_await ask(exchange, "ListQueues", queues_request);
  co_await exchange.reader.stop_watch();
  HttpResponse response = metrics_page(cluster, workers, queues);
  co_await exchange.responder.send(std::move(response));
}

HttpResponse Dispatcher::metrics_page(const absl::StatusOr<MessagePtr>& cluster,
                                      const absl::StatusOr<MessagePtr>& workers,
                                      const absl::StatusOr<MessagePtr>& queues) const {
  absl::Status status = cluster.status();
  status.Update(workers.status());
  status.Update(queues.status());
  // The rest is for those alone who may see the cluster; without a term there is only the rest.
  if (absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status)) return problem(status);
  MetricsPage page;
  add_build_metrics(page);
  page.gauge("clusterd_scheduler_ready", "1: it has a term of office, and its store works.");
  page.sample(static_cast<uint64_t>(readiness_().ok() ? 1 : 0));
  if (status.ok()) {
    add_cluster_metrics(static_cast<const v1::Cluster&>(**cluster),
                        static_cast<const v1::ListWorkersResponse&>(**workers),
                        std::chrono::system_clock::now(), page);
    add_queue_metrics(static_cast<const v1::ListQueuesResponse&>(**queues), page);
  }
  if (metrics_) metrics_(page);
  counted_.add_to(page);
  add_process_metrics(page);
  HttpResponse response;
  response.content_type = std::string(MetricsPage::content_type());
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = page.text();
  return response;
}

HttpResponse Dispatcher::fixed_answer(const HttpRequest& request) const {
  if (request.verb != "GET" && request.verb != "HEAD") return not_allowed({"GET"});
  if (is_dashboard_path(request.path)) return dashboard_answer(request);
  HttpResponse response;
  if (request.path == kOpenApi) {
    response.content_type = "application/json";
    response.body = openapi_;
    return response;
  }
  response.content_type = "text/plain; charset=utf-8";
  response.body = "ok\n";
  if (request.path == "/readyz") {
    const absl::StatusOr<std::string> ready = readiness_();
    if (!ready.ok()) return problem(ready.status(), 503);
    response.body += *ready;
  }
  return response;
}

asio::awaitable<void> Dispatcher::handle_route(const Exchange& exchange) const {
  const absl::StatusOr<RouteTable::Match> match =
      routes_.find(exchange.request.verb, exchange.request.path);
  if (!match.ok()) {
    co_await exchange.responder.send(problem(match.status()));
    co_return;
  }
  if (!match->route) {
    co_await exchange.responder.send(not_allowed(match->allowed));
    co_return;
  }
  absl::StatusOr<MessagePtr> message = request_message(*match, exchange.request);
  if (!message.ok()) {
    co_await exchange.responder.send(problem(message.status()));
    co_return;
  }
  co_await handle_call(exchange, *match->route, *std::move(message));
}

asio::awaitable<void> Dispatcher::handle_call(const Exchange& exchange, const Route& route,
                                              MessagePtr request) const {
  if (route.answer.body() == v1::HttpAnswer::SERVER_SENT_EVENTS) {
    co_await answer_with_events(exchange, channel_, *route.method, std::move(request));
    co_return;
  }
  if (route.answer.body() == v1::HttpAnswer::OUTPUT) {
    auto typed = std::make_unique<v1::StreamJobRequest>();
    typed->CopyFrom(*request);
    OutputAnswer answer(exchange, channel_, problem, true);
    co_await answer.run(*route.method, std::move(typed));
    co_return;
  }
  const bool may_wait = request->GetDescriptor()->FindFieldByName("timeout") != nullptr;
  const absl::Status watched = may_wait ? exchange.watch_client() : absl::OkStatus();
  if (!watched.ok()) {
    co_await exchange.responder.send(problem(watched));
    co_return;
  }
  if (!may_wait) exchange.watch_short_call();
  const HeaderList metadata = call_metadata(exchange.request);
  const absl::StatusOr<MessagePtr> answer =
      co_await channel_.call(exchange.caller, *route.method, *request, call_timeout(*request),
                             exchange.cancellation, metadata);
  co_await exchange.reader.stop_watch();
  HttpResponse response = answer.ok() ? success(route, **answer) : problem(answer.status());
  co_await exchange.responder.send(std::move(response));
}

}  // namespace clusterd::gateway
