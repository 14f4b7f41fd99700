#include "cli/manual_pages.h"

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>

#include "cli/command_families.h"
#include "cli/exit_codes.h"

namespace clusterd {
namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::map<std::string, std::string> pages_of(const CLI::App& app) {
  std::map<std::string, std::string> pages;
  for (ManualPage& page : manual_pages(app, "2026-01-31")) {
    pages[page.file] = std::move(page.text);
  }
  return pages;
}

TEST_CASE("every command has a page with all its options and their texts", "[manual]") {
  CLI::App app("Runs scripts.", "clusterd");
  Chosen chosen;
  add_all_commands(app, chosen);
  const auto pages = pages_of(app);
  size_t commands = 0;
  const std::function<void(const CLI::App&, const std::string&)> walk =
      [&](const CLI::App& at, const std::string& name) {
        CAPTURE(name);
        REQUIRE(pages.contains(name + ".1"));
        const std::string& page = pages.at(name + ".1");
        ++commands;
        const auto below =
            at.get_subcommands([](const CLI::App* s) { return !s->get_group().empty(); });
        for (const CLI::App* sub : below) {
          walk(*sub, name + "-" + sub->get_name());
          CHECK(has(page, ".BR " + roff_escaped(name + "-" + sub->get_name()) + " (1)"));
        }
        if (!below.empty()) return;
        for (const CLI::Option* option : at.get_options()) {
          CHECK(has(page, roff_escaped(option->get_description())));
          for (const std::string& option_name : option->get_lnames()) {
            CHECK(has(page, "\\fB" + roff_escaped("--" + option_name) + "\\fR"));
          }
        }
      };

  walk(app, "clusterd");

  CHECK(commands == pages.size());
  CHECK_FALSE(pages.contains("clusterd-manual.1"));
}

TEST_CASE("the overview has exit codes, environment and files", "[manual]") {
  CLI::App app("Runs scripts.", "clusterd");
  Chosen chosen;
  add_all_commands(app, chosen);

  const std::string page = pages_of(app).at("clusterd.1");

  CHECK(has(page, ".TH CLUSTERD 1 2026-01-31 \"clusterd "));
  CHECK(has(page, "\\fB69\\fR\nThe scheduler cannot be reached.\n"));
  CHECK(has(page, "\\fBCLUSTERD_ADDR\\fR\n"));
  CHECK(has(page, "client.toml"));
}

TEST_CASE("the manual and the pages give the same exit codes", "[manual]") {
  std::ifstream stream(std::string(CLUSTERD_SOURCE_DIR) + "/docs/cli.md");
  const std::string manual{std::istreambuf_iterator<char>(stream),
                           std::istreambuf_iterator<char>()};
  for (const ExitCodeMeaning& meaning : exit_code_meanings()) {
    std::string text = meaning.text.substr(1);  // the first letter's case differs
    text.pop_back();
    CAPTURE(meaning.code, text);
    CHECK(has(manual, "\n| " + meaning.code + " | "));
    CHECK(has(manual, text));
  }
}

TEST_CASE("nothing of a text is roff's", "[manual]") {
  CHECK(roff_escaped(".x \\n --a 'b' `c` ~^") ==
        "\\&.x \\en \\-\\-a \\(aqb\\(aq \\(gac\\(ga \\(ti\\(ha");
  CHECK(roff_escaped("'x") == "\\&\\(aqx");
  CHECK(roff_escaped("HOST[,…]") == "HOST[,\\[u2026]]");
}

}  // namespace
}  // namespace clusterd
