# Writes a serialised FileDescriptorSet into a C++ source (gateway/schema_comments.h reads it):
#   cmake -DINPUT=… -DOUTPUT=… -P embed_schema.cmake
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${hex}")
file(WRITE ${OUTPUT} "// Made by embed_schema.cmake.
#include \"gateway/schema_comments.h\"

namespace clusterd::gateway {

std::string_view schema_with_comments() {
  using namespace std::string_view_literals;
  return \"${bytes}\"sv;
}

}  // namespace clusterd::gateway
")
