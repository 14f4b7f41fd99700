#include "core/port_file.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace clusterd {
namespace {

std::string make_folder() {
  std::string path = (std::filesystem::temp_directory_path() / "port-file-XXXXXX").string();
  REQUIRE(mkdtemp(path.data()) != nullptr);
  return path;
}

std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST_CASE("a port file has each line, replaces an older one and leaves nothing else", "[port]") {
  const std::string folder = make_folder();
  const std::string path = folder + "/ports";

  REQUIRE(write_port_file(path, {"old"}).ok());
  REQUIRE(write_port_file(path, {"grpc=127.0.0.1:1", "http=127.0.0.1:2"}).ok());

  CHECK(content_of(path) == "grpc=127.0.0.1:1\nhttp=127.0.0.1:2\n");
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
  std::filesystem::remove_all(folder);
}

TEST_CASE("no path is nothing to do; an impossible one is named", "[port]") {
  CHECK(write_port_file("", {"x"}).ok());
  const absl::Status status = write_port_file("/nonexistent/ports", {"x"});

  CHECK(status.code() == absl::StatusCode::kNotFound);
  CHECK(std::string(status.message()).find("/nonexistent/ports") != std::string::npos);
}

}  // namespace
}  // namespace clusterd
