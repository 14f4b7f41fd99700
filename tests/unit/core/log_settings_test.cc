#include "core/log_settings.h"

#include <catch2/catch.hpp>
#include <string>

#include "core/log.h"

namespace clusterd {
namespace {

TEST_CASE("a reload takes the level of the file, and not its format", "[log]") {
  LogConfig file{.level = "error", .format = "json"};
  LogConfig told;
  Reloadable item = reloadable_log_level(
      "test", {.level = "info", .format = "text"}, [&file] { return file; },
      [&told](const LogConfig& now) { told = now; });

  item.reload();

  CHECK_FALSE(is_logged(LogLevel::kWarning));
  CHECK(told.level == "error");
  CHECK(told.format == "text");
  CHECK(set_log_level("info").ok());
}

TEST_CASE("a faulty file changes nothing", "[log]") {
  bool told = false;
  Reloadable item = reloadable_log_level(
      "test", {},
      []() -> absl::StatusOr<LogConfig> { return absl::InvalidArgumentError("f.toml:1:1: bad"); },
      [&told](const LogConfig&) { told = true; });

  item.reload();

  CHECK(is_logged(LogLevel::kInfo));
  CHECK_FALSE(is_logged(LogLevel::kDebug));
  CHECK_FALSE(told);
}

}  // namespace
}  // namespace clusterd
