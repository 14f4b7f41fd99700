#include "core/log.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

TEST_CASE("the level decides what is written; an unknown word changes nothing", "[log]") {
  REQUIRE(set_log_level("warning").ok());

  CHECK(is_logged(LogLevel::kError));
  CHECK(is_logged(LogLevel::kWarning));
  CHECK_FALSE(is_logged(LogLevel::kInfo));
  CHECK(set_log_level("loud").code() == absl::StatusCode::kInvalidArgument);
  CHECK_FALSE(is_logged(LogLevel::kInfo));
  CHECK(set_log_level("info").ok());
}

TEST_CASE("the format is a word, too", "[log]") {
  CHECK(set_log_format("json").ok());
  CHECK(set_log_format("xml").code() == absl::StatusCode::kInvalidArgument);
  CHECK(set_log_format("text").ok());
}

}  // namespace
}  // namespace clusterd
