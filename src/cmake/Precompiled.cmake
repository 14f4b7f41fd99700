# The messages and what else nearly every source includes, parsed once: half of the time that a build
# takes. Made where it is included; clusterd_precompile() lets a target use it.
if(NOT CLUSTERD_PRECOMPILE)
  return()
endif()
file(WRITE ${CMAKE_BINARY_DIR}/generated/precompiled.cc "")
add_library(clusterd_precompiled OBJECT ${CMAKE_BINARY_DIR}/generated/precompiled.cc)
target_link_libraries(clusterd_precompiled PRIVATE clusterd_messages clusterd_warnings)
target_precompile_headers(
  clusterd_precompiled
  PRIVATE
  <chrono>
  <functional>
  <map>
  <memory>
  <optional>
  <string>
  <unordered_map>
  <variant>
  <vector>
  <absl/functional/any_invocable.h>
  <absl/status/statusor.h>
  <absl/strings/str_cat.h>
  <clusterd/internal/store.pb.h>
  <clusterd/v1/cluster_service.pb.h>
  <clusterd/v1/scheduler_service.pb.h>
  <clusterd/v1/worker_service.pb.h>)

# What ccache knows the result by, since the compiler never makes the same bytes twice: all that goes
# into it.
file(GLOB_RECURSE protos CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/proto/*.proto)
list(SORT protos)
set(ingredients "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} ${Protobuf_VERSION}"
                "${absl_VERSION} ${CMAKE_BUILD_TYPE}" "${CMAKE_CXX_FLAGS_${CMAKE_BUILD_TYPE}}")
foreach(file IN LISTS protos CMAKE_CURRENT_LIST_FILE)
  file(SHA256 ${file} digest)
  list(APPEND ingredients ${digest})
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${protos})
string(SHA256 digest "${ingredients}")
file(WRITE
     ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/clusterd_precompiled.dir/cmake_pch.hxx.gch.sum
     ${digest})
