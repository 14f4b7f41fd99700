#include "core/utf8.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

TEST_CASE("well-formed UTF-8 is valid and stays as it is", "[utf8]") {
  for (const char* text : {"", "abc", "\x7F", "é", "€", "𐍈", "\xED\x9F\xBF", "\xEE\x80\x80",
                           "\xF4\x8F\xBF\xBF", "\xF0\x90\x80\x80"}) {
    CHECK(is_valid_utf8(text));
    CHECK(to_valid_utf8(text) == text);
  }
}

TEST_CASE("each ill-formed sequence becomes one U+FFFD", "[utf8]") {
  struct Case {
    std::string bytes;
    std::string valid;
  };
  const std::string mark = "\xEF\xBF\xBD";
  for (const Case& c : std::initializer_list<Case>{
           {"a\xFFz", "a" + mark + "z"},
           {"\x80", mark},
           {"\xC0\x80", mark + mark},                        // overlong NUL
           {"\xC1\xBF", mark + mark},                        // overlong
           {"\xE0\x80\x80", mark + mark + mark},             // overlong
           {"\xED\xA0\x80", mark + mark + mark},             // surrogate
           {"\xF4\x90\x80\x80", mark + mark + mark + mark},  // above U+10FFFF
           {"\xF5", mark},
           {"\xE2\x82", mark},  // cut off
           {"\xE2\x82z", mark + "z"},
           {"\xF0\x9F\x98", mark},
       }) {
    CHECK_FALSE(is_valid_utf8(c.bytes));
    CHECK(to_valid_utf8(c.bytes) == c.valid);
    CHECK(is_valid_utf8(to_valid_utf8(c.bytes)));
  }
}

TEST_CASE("a NUL is valid and kept", "[utf8]") {
  const std::string text("a\0b", 3);

  CHECK(is_valid_utf8(text));
  CHECK(to_valid_utf8(text) == text);
}

}  // namespace
}  // namespace clusterd
