// The example files and the manual say what the program does.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "core/config_keys.h"
#include "core/config_load.h"
#include "support/config_manual.h"

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

// Lines that only one of the two has, '-' before those of `left` and '+' before those of `right`.
std::vector<std::string> lines_that_differ(const std::string& left, const std::string& right) {
  std::multiset<std::string> ours;
  std::istringstream left_lines(left);
  for (std::string line; std::getline(left_lines, line);) ours.insert("-" + line);
  std::vector<std::string> differ;
  std::istringstream right_lines(right);
  for (std::string line; std::getline(right_lines, line);) {
    const auto found = ours.find("-" + line);
    if (found == ours.end()) {
      differ.push_back("+" + line);
    } else {
      ours.erase(found);
    }
  }
  differ.insert(differ.end(), ours.begin(), ours.end());
  return differ;
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

TEST_CASE("the manual's tables of keys are those of the program", "[documents]") {
  const std::string path = std::string(CLUSTERD_SOURCE_DIR) + "/docs/configuration.md";
  const std::string manual = text_of("docs/configuration.md");
  clusterd::SchedulerConfig scheduler;
  clusterd::WorkerConfig worker;
  clusterd::ClientConfig client;
  const std::vector<std::pair<std::string, std::string>> tables = {
      {"a scheduler", clusterd::config_table(clusterd::config_keys(scheduler))},
      {"a worker", clusterd::config_table(clusterd::config_keys(worker))},
      {"a client", clusterd::config_table(clusterd::config_keys(client))}};

  std::string expected = manual;
  for (const auto& [name, table] : tables) {
    expected = clusterd::with_table(expected, name, table);
    CHECK(expected.find(table) != std::string::npos);
  }

  if (std::getenv("CLUSTERD_WRITE_MANUAL") != nullptr) {
    std::ofstream(path) << expected;
    return;
  }
  INFO("CLUSTERD_WRITE_MANUAL=1 build/dev/tests/unit/documents_test writes the tables anew");
  CHECK(lines_that_differ(manual, expected) == kNone);
}
