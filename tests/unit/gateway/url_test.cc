#include "gateway/url.h"

#include <catch2/catch.hpp>

using namespace clusterd::gateway;

TEST_CASE("percent escapes become bytes", "[url]") {
  CHECK(percent_decode("a%20b%2Fc%41").value() == "a b/cA");
  CHECK(percent_decode("%C3%A9").value() == "é");
  CHECK(percent_decode("a+b").value() == "a+b");
  CHECK(percent_decode("").value().empty());
}

TEST_CASE("escapes that are cut, no hex, NUL or no UTF-8 are refused", "[url]") {
  for (const char* text : {"%", "%4", "a%zz", "%00", "%ff", "%C3"}) {
    CAPTURE(text);
    CHECK(absl::IsInvalidArgument(percent_decode(text).status()));
  }
}

TEST_CASE("bytes that are no text can be told from a bad escape", "[url]") {
  CHECK(percent_unescape("%ff").value() == "\xff");
  CHECK(absl::IsInvalidArgument(percent_unescape("%f").status()));
  CHECK(is_text("é"));
  CHECK_FALSE(is_text("\xff"));
  CHECK_FALSE(is_text(std::string_view("a\0b", 3)));
}

TEST_CASE("a segment is escaped so that it decodes to itself", "[url]") {
  const std::string text = "a/b c?d%é~";

  CHECK(percent_encode(text) == "a%2Fb%20c%3Fd%25%C3%A9~");
  CHECK(percent_decode(percent_encode(text)).value() == text);
}

TEST_CASE("a query is a list of parameters with or without values", "[url]") {
  const auto parameters = parse_query("a=1&b=x+y%26z&&c&d=").value();

  REQUIRE(parameters.size() == 4);
  CHECK(parameters[0].name == "a");
  CHECK(parameters[0].value == "1");
  CHECK(parameters[1].value == "x y&z");
  CHECK_FALSE(parameters[2].has_value);
  CHECK(parameters[3].has_value);
  CHECK(absl::IsInvalidArgument(parse_query("a=%f").status()));
}
