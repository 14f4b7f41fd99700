#include "core/log_format.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <string>

namespace clusterd {
namespace {

constexpr WallTime kWhen{std::chrono::milliseconds(1'767'323'045'678)};

std::string text_line(std::string_view component, std::string_view message, LogFields fields) {
  return format_log_line({}, LogLevel::kInfo, kWhen, component, message, fields);
}

std::string json_line(LogLevel level, std::string_view message, LogFields fields) {
  return format_log_line({.format = LogFormat::kJson}, level, kWhen, "worker", message, fields);
}

TEST_CASE("a line has time, level, component, message and fields", "[log]") {
  CHECK(text_line("scheduler", "worker joined", {{"worker_id", "w1"}, {"jobs", 3}}) ==
        "2026-01-02T03:04:05.678Z info scheduler: worker joined worker_id=w1 jobs=3");
  CHECK(text_line("x", "y", {{"flag", true}, {"name", "a b"}, {"empty", ""}}) ==
        "2026-01-02T03:04:05.678Z info x: y flag=true name=\"a b\" empty=\"\"");
}

TEST_CASE("no value can forge a line or a field", "[log]") {
  CHECK(text_line("x", "a\nb", {{"v", "1\n2"}, {"q", "say \"hi\" \\"}, {"c", "\x1b[m"}}) ==
        "2026-01-02T03:04:05.678Z info x: a\\nb v=\"1\\n2\" q=\"say \\\"hi\\\" \\\\\" "
        "c=\"\\x1b[m\"");
}

TEST_CASE("a JSON line is one object; numbers and truth values keep their kind", "[log]") {
  CHECK(json_line(LogLevel::kWarning, "a \"b\"\n",
                  {{"job_id", "j1"}, {"attempt", 2}, {"on", true}}) ==
        R"({"time":"2026-01-02T03:04:05.678Z","level":"warning","component":"worker",)"
        R"("message":"a \"b\"\n","job_id":"j1","attempt":2,"on":true})");
}

TEST_CASE("a field that is not there leaves nothing behind", "[log]") {
  const LogValue absent = LogValue::unless_empty("");
  CHECK(text_line("x", "y", {{"trace_id", absent}, {"n", LogValue::unless_empty("z")}}) ==
        "2026-01-02T03:04:05.678Z info x: y n=z");
  CHECK(json_line(LogLevel::kInfo, "y", {{"trace_id", absent}}).ends_with("\"message\":\"y\"}"));
}

TEST_CASE("what is no number in JSON is a text there", "[log]") {
  CHECK(json_line(LogLevel::kInfo, "y", {{"n", 0.0 / 0.0}}).find("\"n\":\"") != std::string::npos);
}

TEST_CASE("the journal gets a mark, and no time or level twice", "[log]") {
  const LogStyle text{.target = LogTarget::kJournalStream};
  CHECK(format_log_line(text, LogLevel::kError, kWhen, "x", "y", {{"k", 1}}) == "<3>x: y k=1");
  CHECK(format_log_line(text, LogLevel::kWarning, kWhen, "x", "y", {}) == "<4>x: y");
  CHECK(format_log_line(text, LogLevel::kInfo, kWhen, "x", "y", {}) == "<6>x: y");
  CHECK(format_log_line(text, LogLevel::kDebug, kWhen, "x", "y", {}) == "<7>x: y");
  CHECK(format_log_line({LogFormat::kJson, LogTarget::kJournalStream}, LogLevel::kInfo, kWhen, "x",
                        "y", {}) == R"(<6>{"component":"x","message":"y"})");
}

TEST_CASE("the journal is told by device and inode", "[log]") {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  struct stat found {};
  REQUIRE(fstat(fileno(file), &found) == 0);
  const std::string stream = std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino);

  CHECK(is_journal(fileno(file), stream.c_str()));
  CHECK_FALSE(is_journal(fileno(file), (stream + "1").c_str()));
  CHECK_FALSE(is_journal(fileno(file), ""));
  CHECK_FALSE(is_journal(fileno(file), nullptr));
  (void)std::fclose(file);
}

}  // namespace
}  // namespace clusterd
