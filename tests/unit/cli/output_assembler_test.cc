#include "client/output_assembler.h"

#include <catch2/catch.hpp>

#include "core/crc32c.h"

namespace clusterd {
namespace {

v1::StreamJobResponse start_at(uint64_t offset, uint32_t attempt = 1, uint64_t released = 0) {
  v1::StreamJobResponse message;
  message.mutable_start()->set_attempt(attempt);
  message.mutable_start()->set_offset(offset);
  message.mutable_start()->set_released(released);
  return message;
}

v1::StreamJobResponse frame_at(uint64_t offset, const std::string& data) {
  v1::StreamJobResponse message;
  message.mutable_frame()->set_offset(offset);
  message.mutable_frame()->set_data(data);
  message.mutable_frame()->set_crc32c(crc32c(data));
  return message;
}

v1::StreamJobResponse end_at(uint64_t total, bool complete) {
  v1::StreamJobResponse message;
  message.mutable_end()->set_total_bytes(total);
  message.mutable_end()->set_complete(complete);
  return message;
}

// An assembler and what it has handed on.
struct Reader {
  explicit Reader(bool follow = true) : assembler(request(follow)) {}
  static v1::StreamJobRequest request(bool follow) {
    v1::StreamJobRequest request;
    request.set_job_id("j1");
    request.set_follow(follow);
    return request;
  }
  absl::Status take(const v1::StreamJobResponse& message) {
    return assembler.accept(message, [this](std::string_view bytes) {
      text += bytes;
      return absl::OkStatus();
    });
  }
  OutputAssembler assembler;
  std::string text;
};

TEST_CASE("a whole stream is handed on and done", "[output]") {
  Reader reader;
  (void)reader.assembler.next_request();

  CHECK(reader.take(start_at(0)).ok());
  CHECK(reader.take(frame_at(0, "abc")).ok());
  CHECK(reader.take(frame_at(3, "de")).ok());
  CHECK_FALSE(reader.assembler.is_done());
  CHECK(reader.take(end_at(5, true)).ok());

  CHECK(reader.text == "abcde");
  CHECK(reader.assembler.is_done());
  CHECK(reader.assembler.attempt() == 1);
}

TEST_CASE("after a cut it asks for the rest of the same attempt", "[output]") {
  Reader reader;
  (void)reader.assembler.next_request();
  REQUIRE(reader.take(start_at(0, 2)).ok());
  REQUIRE(reader.take(frame_at(0, "abc")).ok());

  const v1::StreamJobRequest request = reader.assembler.next_request();
  CHECK(request.offset() == 3);
  CHECK(request.attempt() == 2);
  CHECK(reader.take(start_at(3, 2)).ok());
  CHECK(reader.take(frame_at(3, "d")).ok());
  CHECK(reader.take(end_at(4, true)).ok());

  CHECK(reader.text == "abcd");
}

TEST_CASE("bytes that come again are handed on once", "[output]") {
  Reader reader;
  (void)reader.assembler.next_request();
  REQUIRE(reader.take(start_at(0)).ok());
  REQUIRE(reader.take(frame_at(0, "abc")).ok());
  (void)reader.assembler.next_request();

  CHECK(reader.take(start_at(0)).ok());
  CHECK(reader.take(frame_at(0, "ab")).ok());
  CHECK(reader.take(frame_at(2, "cd")).ok());

  CHECK(reader.text == "abcd");
}

TEST_CASE("a gap, a wrong checksum and an early end are never taken for output", "[output]") {
  Reader reader;
  (void)reader.assembler.next_request();
  REQUIRE(reader.take(start_at(0)).ok());
  v1::StreamJobResponse changed = frame_at(0, "abc");
  changed.mutable_frame()->set_data("abd");

  CHECK(reader.take(changed).code() == absl::StatusCode::kDataLoss);
  CHECK(reader.take(frame_at(1, "x")).code() == absl::StatusCode::kDataLoss);
  CHECK(reader.take(end_at(1, true)).code() == absl::StatusCode::kDataLoss);
  CHECK(reader.text.empty());
  CHECK_FALSE(reader.assembler.is_done());
}

TEST_CASE("a follow whose stream ends before its attempt is not done", "[output]") {
  Reader reader;
  (void)reader.assembler.next_request();
  REQUIRE(reader.take(start_at(0)).ok());

  CHECK(reader.take(end_at(0, false)).ok());

  CHECK_FALSE(reader.assembler.is_done());
}

TEST_CASE("without follow the end of what there is ends it", "[output]") {
  Reader reader(/*follow=*/false);
  (void)reader.assembler.next_request();
  REQUIRE(reader.take(start_at(0)).ok());
  REQUIRE(reader.take(frame_at(0, "abc")).ok());

  CHECK(reader.take(end_at(3, false)).ok());

  CHECK(reader.assembler.is_done());
}

TEST_CASE("bytes that were released are counted, others may not be left out", "[output]") {
  Reader reader;
  (void)reader.assembler.next_request();
  REQUIRE(reader.take(start_at(100, 1, 100)).ok());
  CHECK(reader.assembler.skipped() == 100);
  REQUIRE(reader.take(frame_at(100, "x")).ok());
  (void)reader.assembler.next_request();
  CHECK(reader.take(start_at(150, 1, 150)).ok());
  CHECK(reader.assembler.skipped() == 149);
  (void)reader.assembler.next_request();

  CHECK(reader.take(start_at(200, 1, 150)).code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("bytes that are released within a call are counted, and it goes on behind them",
          "[output]") {
  Reader reader;
  (void)reader.assembler.next_request();
  REQUIRE(reader.take(start_at(0)).ok());
  REQUIRE(reader.take(frame_at(0, "abc")).ok());

  REQUIRE(reader.take(start_at(10, 1, 10)).ok());
  REQUIRE(reader.take(frame_at(10, "xyz")).ok());
  REQUIRE(reader.take(start_at(20, 1, 20)).ok());

  CHECK(reader.take(end_at(20, true)).ok());
  CHECK(reader.assembler.is_done());
  CHECK(reader.assembler.skipped() == 14);
}

TEST_CASE("a call does not begin anew where it stands, nor skip what is kept", "[output]") {
  Reader reader;
  (void)reader.assembler.next_request();
  REQUIRE(reader.take(start_at(0)).ok());
  REQUIRE(reader.take(frame_at(0, "abc")).ok());

  CHECK(reader.take(start_at(3)).code() == absl::StatusCode::kDataLoss);
  CHECK(reader.take(start_at(10, 1, 9)).code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("tail lines are asked for once and skip nothing", "[output]") {
  v1::StreamJobRequest request = Reader::request(true);
  request.set_tail_lines(10);
  OutputAssembler assembler(request);
  const OutputSink ignore = [](std::string_view) { return absl::OkStatus(); };

  CHECK(assembler.next_request().tail_lines() == 10);
  REQUIRE(assembler.accept(start_at(70), ignore).ok());

  CHECK(assembler.next_request().tail_lines() == 0);
  CHECK(assembler.next_request().offset() == 70);
  CHECK(assembler.skipped() == 0);
}

TEST_CASE("messages out of order, and another attempt, are refused", "[output]") {
  Reader reader;
  (void)reader.assembler.next_request();

  CHECK(reader.take(frame_at(0, "x")).code() == absl::StatusCode::kDataLoss);
  REQUIRE(reader.take(start_at(0, 1)).ok());
  CHECK(reader.take(start_at(0, 1)).code() == absl::StatusCode::kDataLoss);
  (void)reader.assembler.next_request();
  CHECK(reader.take(start_at(0, 2)).code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("a sink's error is given back and the bytes are not counted", "[output]") {
  OutputAssembler assembler(Reader::request(true));
  const OutputSink full = [](std::string_view) { return absl::CancelledError("pipe"); };
  (void)assembler.next_request();
  REQUIRE(assembler.accept(start_at(0), full).ok());

  CHECK(assembler.accept(frame_at(0, "abc"), full).code() == absl::StatusCode::kCancelled);

  CHECK(assembler.position() == 0);
}

}  // namespace
}  // namespace clusterd
