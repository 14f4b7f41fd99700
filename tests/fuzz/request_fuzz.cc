#include <cstdlib>

#include "clusterd/v1/scheduler_service.pb.h"
#include "fuzz/fuzz_bytes.h"
#include "gateway/transcoder.h"
#include "gateway/url.h"

// A verb, a target and a body of any bytes: a route is found or not, and what it carries becomes
// the request of its call, or an error that says something. The request survives its own wire form.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace clusterd::gateway;
  static const auto routes = RouteTable::make(
      *clusterd::v1::StartJobRequest::descriptor()->file()->FindServiceByName("SchedulerService"));
  static const std::array<const char*, 5> verbs = {"GET", "POST", "PUT", "DELETE", "PATCH"};
  clusterd::fuzz::Bytes bytes(data, size);
  HttpRequest request;
  request.verb = verbs.at(bytes.below(verbs.size()));
  const bool is_known = bytes.flag();
  const size_t number = bytes.byte();
  std::string_view rest = bytes.rest();
  const auto take = [&rest](char end) {
    const size_t place = std::min(rest.find(end), rest.size());
    const std::string part(rest.substr(0, place));
    rest.remove_prefix(std::min(rest.size(), place + 1));
    return part;
  };
  const std::string path = take('\n');
  request.query = take('\n');
  request.body = std::string(rest);
  request.path = path;
  if (is_known) {
    // One of ours, so that the bytes are spent on its variables.
    const Route& route = routes->all().at(number % routes->all().size());
    request.verb = route.verb;
    request.path.clear();
    for (const Route::Segment& segment : route.segments) {
      request.path += "/" + (segment.field.empty() ? segment.literal : path);
    }
  }
  const auto match = routes->find(request.verb, request.path);
  (void)parse_query(request.query);
  if (!match.ok() || match->route == nullptr) return 0;
  const auto message = request_message(*match, request);
  if (!message.ok()) {
    if (message.status().message().empty()) std::abort();
    return 0;
  }
  const MessagePtr again = new_message(*(*message)->GetDescriptor());
  if (!again->ParseFromString((*message)->SerializeAsString())) std::abort();
  if (!to_json(*again).ok()) std::abort();
  (void)call_timeout(*again);
  return 0;
}
