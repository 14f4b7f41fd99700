#include "gateway/call_metadata.h"

#include <catch2/catch.hpp>

namespace clusterd::gateway {
namespace {

constexpr const char* kTraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

HttpRequest with(HeaderList headers) {
  HttpRequest request;
  request.headers = std::move(headers);
  return request;
}

}  // namespace

TEST_CASE("the trace context goes along with the call, other headers do not", "[gateway]") {
  const HeaderList metadata =
      call_metadata(with({{"x-secret", "1"}, {"traceparent", kTraceParent}}));

  CHECK(metadata == HeaderList{{"traceparent", kTraceParent}});
}

TEST_CASE("a trace context that is malformed or there twice is left out", "[gateway]") {
  CHECK(call_metadata(with({{"traceparent", "00-1-2-3"}})).empty());
  CHECK(
      call_metadata(with({{"traceparent", kTraceParent}, {"traceparent", kTraceParent}})).empty());
}

}  // namespace clusterd::gateway
