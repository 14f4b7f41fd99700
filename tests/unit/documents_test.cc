// The example files and the manual say what the program does.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "core/config_keys.h"
#include "core/config_load.h"

namespace {

using clusterd::ConfigKey;

std::string text_of(const std::string& path) {
  std::ifstream stream(std::string(CLUSTERD_SOURCE_DIR) + "/" + path);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

bool have_equal_values(const ConfigKey& left, const ConfigKey& right) {
  return std::visit(
      [&right](const auto* value) {
        return *value == *std::get<std::remove_const_t<std::remove_pointer_t<decltype(value)>>*>(
                             right.target);
      },
      left.target);
}

// The keys whose values in the file are not the defaults.
template <typename Config>
std::vector<std::string> changed_keys(Config from_file) {
  Config defaults;
  const std::vector<ConfigKey> ours = clusterd::config_keys(from_file);
  const std::vector<ConfigKey> theirs = clusterd::config_keys(defaults);
  std::vector<std::string> changed;
  for (size_t i = 0; i < ours.size(); ++i) {
    if (!have_equal_values(ours[i], theirs[i])) {
      changed.push_back(ours[i].path());
    }
  }
  return changed;
}

// The keys that the file does not have in their table.
std::vector<std::string> missing_keys(const std::vector<ConfigKey>& keys, const std::string& text) {
  std::vector<std::string> missing;
  for (const ConfigKey& key : keys) {
    const size_t table = text.find("[" + std::string(key.table) + "]");
    const size_t end = text.find("\n[", table);
    const size_t found = text.find("\n" + std::string(key.name) + " = ", table);
    if (table == std::string::npos || found == std::string::npos || found > end) {
      missing.push_back(key.path());
    }
  }
  return missing;
}

// The keys that no line of the manual has: `table.key`, or `key` beside another of its table.
std::vector<std::string> undocumented_keys(const std::vector<ConfigKey>& keys,
                                           const std::string& manual) {
  std::vector<std::string> missing;
  for (const ConfigKey& key : keys) {
    bool found = false;
    std::istringstream lines(manual);
    for (std::string line; std::getline(lines, line);) {
      found = found || line.find("`" + key.path() + "`") != std::string::npos ||
              (line.find("`" + std::string(key.table) + ".") != std::string::npos &&
               line.find("`" + std::string(key.name) + "`") != std::string::npos);
    }
    if (!found) {
      missing.push_back(key.path());
    }
  }
  return missing;
}

const std::vector<std::string> kNone;

}  // namespace

TEST_CASE("the example of a scheduler has every key with its default", "[documents]") {
  const std::string text = text_of("examples/scheduler.toml");
  const auto config = clusterd::parse_scheduler_config(text, "scheduler.toml");
  REQUIRE(config.ok());
  clusterd::SchedulerConfig defaults;

  CHECK(changed_keys(*config) == kNone);
  CHECK(missing_keys(clusterd::config_keys(defaults), text) == kNone);
}

TEST_CASE("the example of a worker has every key with its default but its scripts", "[documents]") {
  const std::string text = text_of("examples/worker.toml");
  const auto config = clusterd::parse_worker_config(text, "worker.toml");
  REQUIRE(config.ok());
  clusterd::WorkerConfig defaults;

  CHECK(changed_keys(*config) == std::vector<std::string>{"jobs.scripts_dir"});
  CHECK(missing_keys(clusterd::config_keys(defaults), text) == kNone);
}

TEST_CASE("the manual names every key of the configuration", "[documents]") {
  const std::string manual = text_of("docs/configuration.md");
  clusterd::SchedulerConfig scheduler;
  clusterd::WorkerConfig worker;
  clusterd::ClientConfig client;

  CHECK(undocumented_keys(clusterd::config_keys(scheduler), manual) == kNone);
  CHECK(undocumented_keys(clusterd::config_keys(worker), manual) == kNone);
  CHECK(undocumented_keys(clusterd::config_keys(client), manual) == kNone);
}
