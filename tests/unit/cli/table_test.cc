#include "cli/table.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

Table sample() {
  Table table;
  table.add({"ID", "STATE", "COMMAND"});
  table.add({"0123456789", {"FAILED", Table::Colour::kBad}, "bash a-long-name.sh with arguments"});
  return table;
}

TEST_CASE("without a terminal nothing is cut or coloured", "[table]") {
  CHECK(sample().text({}) ==
        "ID          STATE   COMMAND\n"
        "0123456789  FAILED  bash a-long-name.sh with arguments\n");
}

TEST_CASE("on a terminal the last column is cut first, the first never", "[table]") {
  CHECK(sample().text({.columns = 30}) ==
        "ID          STATE   COMMAND\n"
        "0123456789  FAILED  bash a-lo…\n");
  CHECK(sample().text({.columns = 20}).find("0123456789  ") != std::string::npos);
}

TEST_CASE("a cell has its colour where there are colours", "[table]") {
  CHECK(sample().text({.colours = true}).find("\x1b[31mFAILED\x1b[0m") != std::string::npos);
}

TEST_CASE("columns count characters, not bytes", "[table]") {
  Table table;
  table.add({"käse", "x"});
  table.add({"abcd", "y"});

  CHECK(table.text({}) == "käse  x\nabcd  y\n");
}

TEST_CASE("no cell can steer the terminal", "[table]") {
  Table table;
  table.add({"a\x1b[2Jb\n"});

  CHECK(table.text({}) == "a?[2Jb?\n");
}

}  // namespace
}  // namespace clusterd
