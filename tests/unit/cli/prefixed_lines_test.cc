#include "cli/prefixed_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

namespace clusterd {
namespace {

// What `act` writes to standard output.
std::string captured(const std::function<void()>& act) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) > 0);
  const int before = ::dup(STDOUT_FILENO);
  REQUIRE(::dup2(ends[1], STDOUT_FILENO) >= 0);
  act();
  REQUIRE(::dup2(before, STDOUT_FILENO) >= 0);
  ::close(before);
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t count = 0; (count = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(count));
  }
  ::close(ends[0]);
  return text;
}

TEST_CASE("each line has its prefix, however it was cut", "[prefixed_lines]") {
  const std::string text = captured([] {
    SharedOutput output;
    PrefixedLines lines(output, "[7] ");
    CHECK(lines.write("one\ntw").ok());
    CHECK(lines.write("o\n\nlast").ok());
    CHECK(lines.finish().ok());
    CHECK(lines.finish().ok());
  });

  CHECK(text == "[7] one\n[7] two\n[7] \n[7] last\n");
}

TEST_CASE("a line that is too long is cut in two", "[prefixed_lines]") {
  const std::string text = captured([] {
    SharedOutput output;
    PrefixedLines lines(output, "> ");
    CHECK(lines.write(std::string(PrefixedLines::kLongestLine + 3, 'a')).ok());
    CHECK(lines.finish().ok());
  });

  CHECK(text.size() == PrefixedLines::kLongestLine + 3 + 2 * 3);
  CHECK(text.ends_with("a\n> aaa\n"));
}

}  // namespace
}  // namespace clusterd
