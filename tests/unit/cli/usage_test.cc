// Bad usage of every command: the error names what was wrong.
#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>
#include <functional>

#include "cli/command_families.h"
#include "cli/command_line.h"
#include "cli/exit_codes.h"

namespace clusterd {
namespace {

using Words = std::vector<std::string>;

// A value that every check of the tree takes.
std::string good_value(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t members = type.find(":{");
  if (members != std::string::npos) {
    const size_t begin = members + 2;
    return type.substr(begin, type.find_first_of(",}", begin) - begin);
  }
  return "1";
}

void check_refused(Words words, const std::string& name) {
  const auto command = parse_command_line(words);
  CAPTURE(words, name, command.status());
  REQUIRE_FALSE(command.ok());
  CHECK(exit_code_of(command.status()) == kExitUsage);
  CHECK(std::string(command.status().message()).find(name) != std::string::npos);
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// All that the command must have; without a positional argument the later ones cannot be given.
Words required(const CLI::App& app, const CLI::Option* but) {
  Words words;
  bool is_cut = false;
  for (const CLI::Option* option : app.get_options()) {
    is_cut = is_cut || (option == but && option->get_positional());
    if (option == but || !option->get_required()) continue;
    if (is_cut && option->get_positional()) continue;
    if (option->nonpositional()) words.push_back(option->get_name());
    words.push_back(good_value(*option));
  }
  return words;
}

Words joined(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

struct Tried {
  size_t commands = 0;
  size_t options = 0;
  size_t missing = 0;
};

void check_command(const CLI::App& app, const Words& path, Tried& tried) {
  ++tried.commands;
  const Words whole = joined(path, required(app, nullptr));
  check_refused(joined(path, joined({"--frobnicate"}, required(app, nullptr))), "frobnicate");
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    if (option->get_required()) {
      ++tried.missing;
      check_refused(joined(path, required(app, option)), name);
    }
    if (!option->nonpositional() || name == "--help") continue;
    if (name == "--program" || name == "--handler") continue;  // what comes first, not an option
    ++tried.options;
    if (!takes_value(*option)) {
      check_refused(joined(path, joined({name + "=maybe"}, required(app, nullptr))), name);
      continue;
    }
    const bool needs_value = option->get_items_expected_min() > 0;
    if (needs_value) check_refused(joined(joined(path, required(app, option)), {name}), name);
    const std::string type = option->get_type_name();
    if (type != "FILE" && type != "DIR") {
      check_refused(joined(path, joined({name + "=\xff"}, required(app, option))), name);
    }
  }
}

void walk(const CLI::App& app, const Words& path, Tried& tried) {
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  if (below.empty()) return check_command(app, path, tried);
  check_refused(path, path.empty() ? "command" : "subcommand");
  check_refused(joined(path, {"frobnicate"}), "frobnicate");
  check_refused(joined(path, {"--frobnicate"}), "frobnicate");
  for (const CLI::App* sub : below) walk(*sub, joined(path, {sub->get_name()}), tried);
}

TEST_CASE("bad usage of every command is refused naming the option", "[usage]") {
  CLI::App app("", "clusterd");
  Chosen chosen;
  add_all_commands(app, chosen);
  Tried tried;

  walk(app, {}, tried);

  CHECK(tried.commands > 30);
  CHECK(tried.options > 250);
  CHECK(tried.missing > 30);
}

}  // namespace
}  // namespace clusterd
