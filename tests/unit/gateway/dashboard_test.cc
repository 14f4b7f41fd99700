#include "gateway/dashboard.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "gateway/web_files.h"

namespace clusterd::gateway {
namespace {

namespace fs = std::filesystem;

HttpRequest get(const std::string& path, HeaderList headers = {}) {
  return {.verb = "GET", .path = path, .headers = std::move(headers)};
}

std::string header(const HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

std::string text_of(const fs::path& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::string address_of(std::string_view file) {
  return "/web/" + std::string(web_version()) + "/" + std::string(file);
}

}  // namespace

TEST_CASE("the pages of the dashboard are one document", "[dashboard]") {
  for (const std::string path : {"/", "/jobs", "/jobs/0199.4", "/workers/w1", "/events", "/new"}) {
    CAPTURE(path);
    REQUIRE(is_dashboard_path(path));
    const HttpResponse page = dashboard_answer(get(path));

    CHECK(page.status == 200);
    CHECK(page.content_type == "text/html; charset=utf-8");
    CHECK(page.body.find(address_of("main.js")) != std::string::npos);
    CHECK(page.body.find('@') == std::string::npos);
    CHECK(header(page, "Cache-Control") == "no-cache");
  }
  for (const std::string path : {"/v1/jobs", "/start", "/jobsx", "/metrics", "/webx", "", "*"}) {
    CAPTURE(path);
    CHECK_FALSE(is_dashboard_path(path));
  }
}

TEST_CASE("the document allows nothing of another origin and no code within it", "[dashboard]") {
  const HttpResponse page = dashboard_answer(get("/"));
  const std::string policy = header(page, "Content-Security-Policy");

  CHECK(policy.find("default-src 'none'") != std::string::npos);
  CHECK(policy.find("frame-ancestors 'none'") != std::string::npos);
  CHECK(policy.find("unsafe") == std::string::npos);
  CHECK(header(page, "X-Frame-Options") == "DENY");
  CHECK(page.body.find("<style") == std::string::npos);
  CHECK(page.body.find("<script>") == std::string::npos);
  for (const WebFile& file : web_files()) {
    if (file.path.starts_with("third_party/") || file.path == "icon.svg") continue;
    CAPTURE(file.path);
    CHECK(file.body.find("http://") == std::string_view::npos);
    CHECK(file.body.find("https://") == std::string_view::npos);
  }
}

TEST_CASE("every file of the dashboard is in the program as it is in the tree", "[dashboard]") {
  const fs::path folder = fs::path(CLUSTERD_SOURCE_DIR) / "src/gateway/web";
  std::set<std::string> expected;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".js" || extension == ".css" || extension == ".svg") {
      expected.insert(fs::relative(entry.path(), folder).string());
    }
  }
  CHECK(expected.size() > 10);
  for (const std::string& file : expected) {
    CAPTURE(file);
    const HttpResponse answer = dashboard_answer(get(address_of(file)));
    CHECK(answer.status == 200);
    CHECK(answer.body == text_of(folder / file));
    CHECK(header(answer, "Cache-Control").find("immutable") != std::string::npos);
  }
  CHECK(dashboard_answer(get(address_of("third_party/preact/hooks.mjs"))).body.find("\"preact\"") ==
        std::string::npos);
}

TEST_CASE("a file that the browser has is not sent again", "[dashboard]") {
  const HttpResponse first = dashboard_answer(get("/"));
  const std::string etag = header(first, "ETag");
  REQUIRE(etag.size() > 2);

  CHECK(dashboard_answer(get("/", {{"if-none-match", "\"x\", " + etag}})).status == 304);
  CHECK(dashboard_answer(get("/", {{"if-none-match", "\"x\""}})).status == 200);
}

TEST_CASE("a file asked for by another version's name is there and not kept", "[dashboard]") {
  const HttpResponse answer = dashboard_answer(get("/web/000000000000/main.js"));

  CHECK(answer.status == 200);
  CHECK(header(answer, "Cache-Control") == "no-cache");
  CHECK(dashboard_answer(get(address_of("nothing.js"))).status == 404);
  CHECK(dashboard_answer(get("/web/")).status == 404);
  CHECK(dashboard_answer(get(address_of("../dashboard.cc"))).status == 404);
}

}  // namespace clusterd::gateway
