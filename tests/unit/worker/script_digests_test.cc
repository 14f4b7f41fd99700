#include "worker/script_digests.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/field_error.h"

namespace clusterd {
namespace fs = std::filesystem;
namespace {

const std::string kHex = "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf";

std::string error_of(const std::string& text) {
  return std::string(parse_digests(text).status().message());
}

}  // namespace

TEST_CASE("what sha256sum prints is read, in text and binary mode and escaped", "[digests]") {
  const auto table = parse_digests(kHex + "  a.sh\n" + kHex + " *./b c.sh\n\n# comment\n\\" + kHex +
                                   "  new\\nline\\\\\n" + kHex + "  last");

  REQUIRE(table.ok());
  CHECK(table->size() == 4);
  CHECK(table->contains("a.sh"));
  CHECK(table->contains("b c.sh"));
  CHECK(table->contains("new\nline\\"));
  CHECK(table->at("last").begin()->size() == 32);
}

TEST_CASE("a file may have several digests: the one that runs now and the next", "[digests]") {
  const std::string other = std::string(64, '0');

  const auto table = parse_digests(kHex + "  a.sh\n" + other + "  a.sh\n");

  REQUIRE(table.ok());
  CHECK(table->at("a.sh").size() == 2);
}

TEST_CASE("a line of another form is named", "[digests]") {
  CHECK_THAT(error_of(kHex + "  a\nSHA256 (a) = " + kHex), Catch::Contains("line 2 "));
  CHECK_THAT(error_of(kHex), Catch::Contains("line 1 "));
  CHECK_THAT(error_of(kHex + "  "), Catch::Contains("line 1 "));
  CHECK_THAT(error_of(kHex + " a"), Catch::Contains("line 1 "));
  CHECK_THAT(error_of("g" + kHex.substr(1) + "  a"), Catch::Contains("line 1 "));
  CHECK_THAT(error_of("\\" + kHex + "  a\\x"), Catch::Contains("line 1 "));
  CHECK(parse_digests("").ok());
}

TEST_CASE("the file is read again when it changes, and while it is bad nothing runs", "[digests]") {
  std::string root = fs::temp_directory_path() / "digests-XXXXXX";
  REQUIRE(::mkdtemp(root.data()) != nullptr);
  root = fs::canonical(root).native();
  fs::create_directory(root + "/scripts");
  const std::string script = root + "/scripts/a.sh";
  const std::string file = root + "/digests";
  std::ofstream(script) << "#!/bin/sh\n";
  std::ofstream(file) << std::string(64, '0') << "  a.sh\n";
  ScriptDigests digests(file, root + "/scripts");

  const auto before = digests.verify("a.sh", script);
  std::ofstream(file) << kHex << "  " << script << "\n";
  const auto after = digests.verify("a.sh", script);
  const auto by_link = digests.verify("link.sh", script);
  std::ofstream(file) << "garbage\n";
  const auto bad = digests.verify("a.sh", script);
  std::ofstream(file) << kHex << "  a.sh\n";
  ::chmod(file.c_str(), 0666);
  const auto open_to_others = digests.verify("a.sh", script);
  fs::remove(file);
  const auto gone = digests.verify("a.sh", script);

  CHECK(absl::IsPermissionDenied(before.status()));
  CHECK(field_of(before.status()) == "path");
  CHECK(after.ok());
  CHECK(by_link.ok());
  for (const auto& refused : {bad, open_to_others, gone}) {
    CHECK(absl::IsFailedPrecondition(refused.status()));
    CHECK(field_of(refused.status()) == "jobs.digests");
  }
  fs::remove_all(root);
}

}  // namespace clusterd
