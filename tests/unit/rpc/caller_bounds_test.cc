#include "rpc/caller_bounds.h"

#include <catch2/catch.hpp>

using namespace clusterd;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kQuery = "/clusterd.v1.SchedulerService/QueryJob";
constexpr std::string_view kFollow = "/clusterd.v1.SchedulerService/StreamJob";
constexpr std::string_view kSession = "/clusterd.v1.ClusterService/Session";
const BootTime kStart = BootTime() + 1000s;

SchedulerConfig::GrpcServer limits(uint32_t rate, uint32_t streams) {
  SchedulerConfig::GrpcServer limits;
  limits.max_request_rate = rate;
  limits.max_streams_per_client = streams;
  return limits;
}

}  // namespace

TEST_CASE("a client has so many calls a second, others have their own", "[bounds]") {
  CallerBounds bounds(limits(2, 1));
  CHECK(bounds.take_call("192.0.2.1", kQuery, kStart).ok());
  CHECK(bounds.take_call("192.0.2.1", kQuery, kStart).ok());

  const absl::Status refused = bounds.take_call("192.0.2.1", kQuery, kStart);

  CHECK(absl::IsResourceExhausted(refused));
  CHECK_THAT(std::string(refused.message()),
             Catch::Contains("grpc_server.max_request_rate allows 2"));
  CHECK(bounds.take_call("192.0.2.2", kQuery, kStart).ok());
  CHECK(bounds.take_call("192.0.2.1", kQuery, kStart + 500ms).ok());
  CHECK_FALSE(bounds.take_call("192.0.2.1", kQuery, kStart + 500ms).ok());
}

TEST_CASE("what workers call has no rate, and nothing has where there is none", "[bounds]") {
  CallerBounds bounds(limits(1, 1));
  CallerBounds unbounded(limits(0, 1));

  for (int i = 0; i < 100; ++i) {
    CHECK(bounds.take_call("192.0.2.1", kSession, kStart).ok());
    CHECK(unbounded.take_call("192.0.2.1", kQuery, kStart).ok());
  }
}

TEST_CASE("a client has so many streams, those of a /64 together", "[bounds]") {
  CallerBounds bounds(limits(0, 2));
  CHECK_FALSE(bounds.begin_stream("2001:db8::1", kSession));  // a worker's
  CHECK(bounds.begin_stream("2001:db8::1", kFollow));
  CHECK(bounds.has_room("2001:db8::2").ok());
  CHECK(bounds.begin_stream("2001:db8::2", kFollow));

  const absl::Status refused = bounds.has_room("2001:db8::3");

  CHECK(absl::IsResourceExhausted(refused));
  CHECK_THAT(std::string(refused.message()), Catch::Contains("grpc_server.max_streams_per_client"));
  CHECK(bounds.has_room("2001:db8:0:1::1").ok());
  bounds.end_stream("2001:db8::1");
  CHECK(bounds.has_room("2001:db8::3").ok());
}
