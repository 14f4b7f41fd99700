#include "gateway/sse.h"

#include <catch2/catch.hpp>

#include "core/field_error.h"

using namespace clusterd;
using namespace clusterd::gateway;

namespace {

v1::OutputStart start_at(uint64_t offset) {
  v1::OutputStart start;
  start.set_attempt(2);
  start.set_stream(v1::OutputStream::STDERR);
  start.set_offset(offset);
  return start;
}

}  // namespace

TEST_CASE("an event is its lines and an empty one", "[sse]") {
  CHECK(sse_event("1", "end", "a\nb") == "id: 1\nevent: end\ndata: a\ndata: b\n\n");
  CHECK(sse_event("", "", "x") == "data: x\n\n");
}

TEST_CASE("the id of output is the place after the event", "[sse]") {
  OutputEvents events(start_at(10));

  CHECK(events.on_bytes("hi\n") == "id: 2.stderr.13\ndata: \"hi\\n\"\n\n");
  CHECK(events.on_bytes("x") == "id: 2.stderr.14\ndata: \"x\"\n\n");
  CHECK(events.on_end("{}") == "id: 2.stderr.14\nevent: end\ndata: {}\n\n");
}

TEST_CASE("a character that is cut waits for its rest", "[sse]") {
  OutputEvents events(start_at(0));

  CHECK(events.on_bytes("a\xF0\x9F") == "id: 2.stderr.1\ndata: \"a\"\n\n");
  CHECK(events.on_bytes("\x98").empty());
  CHECK(events.on_bytes("\x80z") == "id: 2.stderr.6\ndata: \"\xF0\x9F\x98\x80z\"\n\n");
}

TEST_CASE("bytes that are no UTF-8 go out in base64", "[sse]") {
  OutputEvents events(start_at(0));

  CHECK(events.on_bytes("\xff\xfe"
                        "a") == "id: 2.stderr.3\nevent: base64\ndata: //5h\n\n");
  CHECK(events.on_bytes("\xC3").empty());
  CHECK(events.on_end("{}") ==
        "id: 2.stderr.4\nevent: base64\ndata: ww==\n\n"
        "id: 2.stderr.4\nevent: end\ndata: {}\n\n");
}

TEST_CASE("what was released is an event of its own, after a character that was cut", "[sse]") {
  v1::OutputStart start;
  start.set_attempt(1);
  start.set_stream(v1::OutputStream::MERGED);
  OutputEvents events(start);
  CHECK(events.on_bytes("a\xC3") == "id: 1.merged.1\ndata: \"a\"\n\n");

  CHECK(events.on_released(100) ==
        "id: 1.merged.2\nevent: base64\ndata: ww==\n\n"
        "id: 1.merged.100\nevent: released\ndata: {\"from\":\"2\",\"to\":\"100\"}\n\n");
  CHECK(events.on_bytes("b") == "id: 1.merged.101\ndata: \"b\"\n\n");
}

TEST_CASE("an event's id resumes after it", "[sse]") {
  v1::StreamJobRequest request;

  REQUIRE(resume_from("3.stdout.4096", request).ok());
  CHECK(request.attempt() == 3);
  CHECK(request.stream() == v1::OutputStream::STDOUT);
  CHECK(request.offset() == 4096);
  REQUIRE(resume_from("1.merged.0", request).ok());
  CHECK(request.stream() == v1::OutputStream::STREAM_UNSPECIFIED);
}

TEST_CASE("what is no event's id is refused", "[sse]") {
  for (const char* id : {"", "1", "1.merged", "1.merged.", "x.merged.1", "1.other.1", "1.merged.x",
                         "1.merged.1.1", "-1.merged.1", "1..1"}) {
    CAPTURE(id);
    v1::StreamJobRequest request;
    const absl::Status status = resume_from(id, request);
    CHECK(absl::IsInvalidArgument(status));
    CHECK(field_of(status) == "Last-Event-ID");
    CHECK(request.attempt() == 0);
  }
}
