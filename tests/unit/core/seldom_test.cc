#include "core/seldom.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

using namespace clusterd;

TEST_CASE("what is seldom changed reads as its default until then", "[seldom]") {
  Seldom<std::vector<std::string>> words;
  CHECK(words->empty());
  CHECK(sizeof(words) == sizeof(void*));

  words.edit().push_back("one");
  words.edit().push_back("two");

  CHECK(*words == std::vector<std::string>{"one", "two"});
  CHECK(Seldom<std::vector<std::string>>()->empty());
  const auto moved = std::move(words);
  CHECK(moved->size() == 2);
}

TEST_CASE("what was changed can be its default again", "[seldom]") {
  Seldom<int> number;
  number.edit() = 7;

  number.reset();

  CHECK(*number == 0);
}
