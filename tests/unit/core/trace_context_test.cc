#include "core/trace_context.h"

#include <catch2/catch.hpp>
#include <string>

namespace clusterd {
namespace {

const std::string kGood = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

}  // namespace

TEST_CASE("a traceparent of version 00 is exactly its four fields", "[trace]") {
  CHECK(is_trace_parent(kGood));
  CHECK_FALSE(is_trace_parent(kGood + "-more"));
  CHECK_FALSE(is_trace_parent(kGood + " "));
  CHECK_FALSE(is_trace_parent(kGood.substr(0, 54)));
  CHECK_FALSE(is_trace_parent(""));
}

TEST_CASE("a traceparent of a later version may have more behind a hyphen", "[trace]") {
  const std::string later = "cc" + kGood.substr(2);

  CHECK(is_trace_parent(later));
  CHECK(is_trace_parent(later + "-what-the-future-brings"));
  CHECK_FALSE(is_trace_parent(later + "."));
  CHECK_FALSE(is_trace_parent(later + "-\n"));
  CHECK_FALSE(is_trace_parent(later + "-" + std::string(128, 'x')));
  CHECK_FALSE(is_trace_parent("ff" + kGood.substr(2)));
}

TEST_CASE("a traceparent has lower case digits and ids that are not zero", "[trace]") {
  CHECK_FALSE(is_trace_parent("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"));
  CHECK_FALSE(is_trace_parent("00-00000000000000000000000000000000-00f067aa0ba902b7-01"));
  CHECK_FALSE(is_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"));
  CHECK_FALSE(is_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g"));
  CHECK_FALSE(is_trace_parent("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
  CHECK_FALSE(is_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01"));
  CHECK_FALSE(is_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01"));
}

}  // namespace clusterd
