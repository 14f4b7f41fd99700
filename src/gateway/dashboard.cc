#include "gateway/dashboard.h"

#include <algorithm>
#include <array>

#include "gateway/problem.h"
#include "gateway/web_files.h"

namespace clusterd::gateway {
namespace {

constexpr std::string_view kFiles = "/web/";
constexpr std::string_view kDocument = "index.html";
// Pages by the first word of their path; below it is what they show.
constexpr std::array<std::string_view, 4> kPages = {"jobs", "workers", "events", "new"};

// Nothing of another origin, no code or style in the document, nobody's frame.
constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

const WebFile* find(std::string_view path) {
  const auto files = web_files();
  const auto found = std::find_if(files.begin(), files.end(),
                                  [path](const WebFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

// The entity tags of If-None-Match are quoted, so one is no part of another.
bool has_tag(const HttpRequest& request, std::string_view etag) {
  const auto tags = request.header("if-none-match");
  return tags && tags->find(etag) != std::string_view::npos;
}

HttpResponse answer_with(const HttpRequest& request, const WebFile& file, bool for_ever) {
  HttpResponse response;
  response.headers = {
      {"ETag", std::string(file.etag)},
      {"Cache-Control", for_ever ? "public, max-age=31536000, immutable" : "no-cache"},
      {"Content-Security-Policy", std::string(kContentSecurityPolicy)},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Referrer-Policy", "same-origin"},
      {"X-Frame-Options", "DENY"},
  };
  if (has_tag(request, file.etag)) {
    response.status = 304;
    return response;
  }
  response.content_type = std::string(file.content_type);
  response.body = std::string(file.body);
  return response;
}

}  // namespace

bool is_dashboard_path(std::string_view path) {
  if (path == "/" || path.starts_with(kFiles)) return true;
  if (!path.starts_with("/")) return false;
  const std::string_view page = path.substr(1, path.find('/', 1) - 1);
  return std::find(kPages.begin(), kPages.end(), page) != kPages.end();
}

HttpResponse dashboard_answer(const HttpRequest& request) {
  std::string_view path = request.path;
  if (!path.starts_with(kFiles)) return answer_with(request, *find(kDocument), false);
  path.remove_prefix(kFiles.size());
  const size_t slash = path.find('/');
  const WebFile* file = slash == std::string_view::npos ? nullptr : find(path.substr(slash + 1));
  if (file == nullptr) return problem(absl::NotFoundError("no such path: " + request.path));
  // A document from another version, of before an upgrade or of another scheduler, asks below its
  // own name: it gets what there is, and may not keep it.
  return answer_with(request, *file, path.substr(0, slash) == web_version());
}

}  // namespace clusterd::gateway
