#include "core/command_words.h"

#include <catch2/catch.hpp>

using namespace clusterd;
using Words = std::vector<std::string>;

TEST_CASE("a command line is taken apart into words", "[command_words]") {
  struct Row {
    const char* line;
    Words words;
  };
  const Row row = GENERATE(Row{"", {}}, Row{"  \t\n", {}}, Row{"count.sh 5", {"count.sh", "5"}},
                           Row{"  a\tb\nc ", {"a", "b", "c"}}, Row{"a 'b c' d", {"a", "b c", "d"}},
                           Row{R"(a "b \"c\" \\ \n" d)", {"a", R"(b "c" \ \n)", "d"}},
                           Row{R"(a\ b \'c)", {"a b", "'c"}}, Row{"a '' \"\"", {"a", "", ""}},
                           Row{"a'b'\"c\"d", {"abcd"}}, Row{"'a\"b'", {"a\"b"}},
                           Row{"echo $HOME `x` * ; rm", {"echo", "$HOME", "`x`", "*", ";", "rm"}});
  CAPTURE(row.line);

  const auto words = split_words(row.line);

  REQUIRE(words.ok());
  CHECK(*words == row.words);
}

TEST_CASE("a line that ends within a word is refused", "[command_words]") {
  CHECK(split_words("a 'b").status().message() == "has a ' that is not closed");
  CHECK(split_words("a \"b").status().message() == "has a \" that is not closed");
  CHECK(split_words("a\\").status().message() == "ends with a backslash");
}

TEST_CASE("words that are joined are the same when taken apart", "[command_words]") {
  const Words words =
      GENERATE(Words{}, Words{"a", "b"}, Words{""}, Words{"it's", "a \"b\"", "\\", "$x", "\n"});

  CHECK(*split_words(join_words(words)) == words);
}

TEST_CASE("plain words are joined as they are", "[command_words]") {
  CHECK(join_words({"bash", "jobs/count.sh", "--n=5"}) == "bash jobs/count.sh --n=5");
}
