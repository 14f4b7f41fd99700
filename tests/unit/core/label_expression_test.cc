#include "core/label_expression.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

using Labels = google::protobuf::Map<std::string, std::string>;

bool matches(const std::string& text, const Labels& labels) {
  const auto expression = LabelExpression::parse(text);
  INFO(text);
  REQUIRE(expression.ok());
  return expression->matches(labels);
}

TEST_CASE("each form is met by what it says", "[labels]") {
  Labels labels;
  labels["gpu"] = "yes";
  labels["zone"] = "b";

  CHECK(matches("gpu=yes", labels));
  CHECK_FALSE(matches("gpu=no", labels));
  CHECK_FALSE(matches("gpu!=yes", labels));
  CHECK(matches("gpu!=no", labels));
  CHECK(matches("zone in (a,b)", labels));
  CHECK(matches(" zone in ( b ) ", labels));
  CHECK_FALSE(matches("zone in (a,c)", labels));
  CHECK(matches("zone notin (a,c)", labels));
  CHECK(matches("gpu", labels));
  CHECK_FALSE(matches("spot", labels));
  CHECK(matches("!spot", labels));
  CHECK_FALSE(matches("!gpu", labels));
}

TEST_CASE("what has no such label is unequal to every value", "[labels]") {
  const Labels none;

  CHECK(matches("zone!=a", none));
  CHECK(matches("zone notin (a)", none));
  CHECK_FALSE(matches("zone=a", none));
  CHECK_FALSE(matches("zone in (a)", none));
}

TEST_CASE("what is no expression is refused with the forms that are", "[labels]") {
  for (const char* text : {"", " ", "=", "a=", "=b", "a==b", "a b", "a in", "a in b", "a in ()",
                           "a in (b", "a in (b,,c)", "!", "!a=b", "a=b c", "a,b", "a='b'"}) {
    INFO(text);
    CHECK(absl::IsInvalidArgument(LabelExpression::parse(text).status()));
  }
  CHECK_THAT(std::string(LabelExpression::parse("a==b").status().message()),
             Catch::Contains("\"a==b\"") && Catch::Contains("name in (a,b)"));
}

}  // namespace
}  // namespace clusterd
