#include "core/log.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

TEST_CASE("a line has component, message and fields", "[log]") {
  CHECK(format_log_line("scheduler", "worker joined", {{"worker_id", "w1"}, {"jobs", 3}}) ==
        "scheduler: worker joined worker_id=w1 jobs=3");
  CHECK(format_log_line("x", "y", {{"flag", true}, {"name", "a b"}, {"empty", ""}}) ==
        "x: y flag=true name=\"a b\" empty=\"\"");
}

TEST_CASE("no value can forge a line or a field", "[log]") {
  CHECK(format_log_line("x", "a\nb", {{"v", "1\n2"}, {"q", "say \"hi\" \\"}, {"c", "\x1b[m"}}) ==
        "x: a\\nb v=\"1\\n2\" q=\"say \\\"hi\\\" \\\\\" c=\"\\x1b[m\"");
}

TEST_CASE("the level decides what is written; an unknown word changes nothing", "[log]") {
  REQUIRE(set_log_level("warning").ok());

  CHECK(is_logged(LogLevel::kError));
  CHECK(is_logged(LogLevel::kWarning));
  CHECK_FALSE(is_logged(LogLevel::kInfo));
  CHECK(set_log_level("loud").code() == absl::StatusCode::kInvalidArgument);
  CHECK_FALSE(is_logged(LogLevel::kInfo));
  CHECK(set_log_level("info").ok());
}

}  // namespace
}  // namespace clusterd
