#include "cli/near_word.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

TEST_CASE("the nearest word is one slip of the finger or two away", "[near_word]") {
  const std::vector<std::string> known = {"start", "stop", "query", "list"};

  CHECK(near_word("strat", known) == "start");
  CHECK(near_word("strt", known) == "start");
  CHECK(near_word("sstart", known) == "start");
  CHECK(near_word("stpo", known) == "stop");
  CHECK(near_word("qeury", known) == "query");
  CHECK(near_word("lsit", known) == "list");
  CHECK(near_word("start", known) == "start");
}

TEST_CASE("nothing is near enough to a word of its own", "[near_word]") {
  CHECK_FALSE(near_word("banana", {"start", "stop"}));
  CHECK_FALSE(near_word("ps", {"dev", "job"}));
  CHECK_FALSE(near_word("", {"dev"}));
  CHECK_FALSE(near_word(std::string(1 << 20, 'x'), {"dev", "job"}));
  CHECK_FALSE(near_word("x", {}));
}

}  // namespace
}  // namespace clusterd
