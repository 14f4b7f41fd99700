// The manual of the command line has the options that --help has.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "cli/command_line.h"

namespace clusterd {
namespace {

using Words = std::vector<std::string>;
using Options = std::set<std::string>;
// By command ("job start", or "" for none), without those that all have.
using Manual = std::map<std::string, Options>;

const Options kEverywhere = {"--help"};
// Families that call no scheduler.
const Options kOfCallers = {"--addr", "--token", "--ca", "--cert", "--key"};

std::string help_of(Words words) {
  words.emplace_back("--help");
  const auto command = parse_command_line(words);
  REQUIRE(command.ok());
  return std::get<HelpCommand>(*command).text;
}

Options options_in(const std::string& text, const std::regex& pattern) {
  Options found;
  for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at) {
    found.insert((*at)[1]);
  }
  return found;
}

// The words after "Subcommands:" in a help text.
Words subcommands_in(const std::string& help) {
  Words names;
  std::istringstream lines(help.substr(std::min(help.find("\nSubcommands:\n"), help.size())));
  for (std::string line; std::getline(lines, line);) {
    const bool is_name = line.size() > 2 && line.starts_with("  ") && line[2] != ' ';
    if (is_name) names.push_back(line.substr(2, line.find(' ', 2) - 2));
  }
  return names;
}

// Adds what the help of `words` and of the commands below it says.
void read_help(const Words& words, Manual& manual) {
  static const std::regex kOption("\n *(?:-[a-z],)?(--[a-z-]+)");
  const std::string help = help_of(words);
  const Words below = subcommands_in(help);
  for (const std::string& name : below) {
    Words longer = words;
    longer.push_back(name);
    read_help(longer, manual);
  }
  if (!below.empty() && !words.empty()) return;
  std::string name;
  for (const std::string& word : words) name += (name.empty() ? "" : " ") + word;
  Options options = options_in(help, kOption);
  for (const std::string& option : kEverywhere) CHECK(options.erase(option) == 1);
  if (options.contains("--addr")) {
    for (const std::string& option : kOfCallers) CHECK(options.erase(option) == 1);
  }
  manual[name] = std::move(options);
}

// The table of options: lines "| `job start` | `--worker ID` … |"; `clusterd` is no command. "those
// of `job start` but `--wait`" brings in what stands at another command above.
Manual read_manual(const std::string& text) {
  static const std::regex kOption("`(?:-[a-z], )?(--[a-z-]+)");
  static const std::regex kBorrowed("those of `([a-z ]+)` but ([^;]*);");
  Manual manual;
  std::istringstream lines(text.substr(std::min(text.find("\n## Options\n"), text.size())));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) continue;
    const size_t end = line.find('`', 3);
    std::string name = line.substr(3, end - 3);
    if (name == "clusterd") name.clear();
    std::string text_of_options = line.substr(end);
    std::smatch borrowed;
    if (std::regex_search(text_of_options, borrowed, kBorrowed)) {
      const Options& others = manual[borrowed[1]];
      manual[name].insert(others.begin(), others.end());
      const std::string exceptions = borrowed[2];
      for (const std::string& option : options_in(exceptions, kOption)) manual[name].erase(option);
      text_of_options = borrowed.suffix();
    }
    const Options options = options_in(text_of_options, kOption);
    manual[name].insert(options.begin(), options.end());
  }
  return manual;
}

TEST_CASE("the manual and --help have the same options for each command", "[command_line]") {
  std::ifstream stream(std::string(CLUSTERD_SOURCE_DIR) + "/docs/cli.md");
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  Manual help;
  read_help({}, help);
  const Manual manual = read_manual(text);

  CHECK(help.size() > 5);
  for (const auto& [command, options] : help) {
    CAPTURE(command);
    REQUIRE(manual.contains(command));
    CHECK(manual.at(command) == options);
  }
  for (const auto& [command, options] : manual) {
    CAPTURE(command);
    CHECK(help.contains(command));
  }
}

TEST_CASE("no line of the manual names an option that no command has", "[command_line]") {
  std::ifstream stream(std::string(CLUSTERD_SOURCE_DIR) + "/docs/cli.md");
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  Manual help;
  read_help({}, help);
  Options known = kEverywhere;
  known.insert(kOfCallers.begin(), kOfCallers.end());
  for (const auto& [command, options] : help) known.insert(options.begin(), options.end());

  for (const std::string& option : options_in(text, std::regex("(--[a-z][a-z-]*)"))) {
    CAPTURE(option);
    CHECK(known.contains(option));
  }
}

}  // namespace
}  // namespace clusterd
