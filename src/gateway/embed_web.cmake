# Writes the dashboard's files into one C++ source (gateway/web_files.h says what they are):
#   cmake -DFOLDER=… -DFILES=a;b;… -DOUTPUT=… -P embed_web.cmake
#
# The files are served below a path that names this very set of them, so browsers may keep them for
# ever. In index.html, @BASE@ becomes that path and @PRELOAD@ names the modules, which would be found
# one after the other otherwise. `preact`, which hooks.mjs names as a package, becomes a path.
set(types css text/css html text/html js text/javascript mjs text/javascript svg image/svg+xml)

function(content_of file result)
  file(READ ${FOLDER}/${file} text)
  if(file MATCHES "hooks\\.mjs$")
    string(REPLACE "from\"preact\"" "from\"./preact.mjs\"" text "${text}")
  endif()
  string(REGEX REPLACE "\n//# sourceMappingURL=[^\n]*" "" text "${text}")
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

foreach(file IN LISTS FILES)
  file(SHA256 ${FOLDER}/${file} sum)
  string(APPEND sums "${file} ${sum} ")
endforeach()
string(SHA256 version "${sums}")
string(SUBSTRING ${version} 0 12 version)
set(base /web/${version})

foreach(file IN LISTS FILES)
  if(file MATCHES "\\.m?js$" AND NOT file STREQUAL main.js)
    string(APPEND preload "  <link rel=\"modulepreload\" href=\"${base}/${file}\">\n")
  endif()
endforeach()

foreach(file IN LISTS FILES)
  # CMake's own strings would lose brackets and semicolons: from here on as hexadecimal numbers.
  if(file MATCHES "hooks\\.mjs$|\\.html$|preact\\.mjs$")
    content_of(${file} text)
    string(REPLACE "@BASE@" "${base}" text "${text}")
    string(REPLACE "@PRELOAD@" "${preload}" text "${text}")
    string(HEX "${text}" hex)
  else()
    file(READ ${FOLDER}/${file} hex HEX)
  endif()
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${hex}")
  string(SHA256 etag "${hex}")
  string(SUBSTRING ${etag} 0 16 etag)
  string(REGEX MATCH "[a-z]+$" extension ${file})
  list(FIND types ${extension} at)
  math(EXPR at "${at} + 1")
  list(GET types ${at} type)
  string(APPEND entries
         "    {\"${file}\", \"${type}; charset=utf-8\", \"\\\"${etag}\\\"\",\n     \"${bytes}\"sv},\n")
  math(EXPR count "${count} + 1")
endforeach()

file(WRITE ${OUTPUT} "// Made by embed_web.cmake.
#include \"gateway/web_files.h\"

#include <array>

namespace clusterd::gateway {
namespace {

using namespace std::string_view_literals;

constexpr std::array<WebFile, ${count}> kFiles = {{
${entries}}};

}  // namespace

std::string_view web_version() { return \"${version}\"; }
std::span<const WebFile> web_files() { return kFiles; }

}  // namespace clusterd::gateway
")
