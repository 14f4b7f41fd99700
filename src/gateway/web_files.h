#pragma once

#include <span>
#include <string_view>

namespace clusterd::gateway {

// One file of the dashboard (src/gateway/web), as it is in this program. Lives as long as it.
struct WebFile {
  std::string_view path;          // "third_party/htm/htm.mjs"
  std::string_view content_type;  // with the character set
  std::string_view etag;          // quoted
  std::string_view body;
};

// All of them. The source is made at build time by embed_web.cmake.
[[nodiscard]] std::span<const WebFile> web_files();

// Names this set of files: they are served below /web/<version>.
[[nodiscard]] std::string_view web_version();

}  // namespace clusterd::gateway
