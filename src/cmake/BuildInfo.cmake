# The version and how this was built, as `clusterd --version` tells them: core/build_info.h.
set(CLUSTERD_COMMIT "" CACHE STRING "Commit that is built; empty: asked of git, a tarball has none")

set(commit "${CLUSTERD_COMMIT}")
if(NOT commit)
  find_package(Git QUIET)
  if(Git_FOUND)
    execute_process(
      COMMAND ${GIT_EXECUTABLE} -C ${CMAKE_SOURCE_DIR} rev-parse --short=12 HEAD
      OUTPUT_VARIABLE commit
      OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    # Another commit configures anew.
    execute_process(
      COMMAND ${GIT_EXECUTABLE} -C ${CMAKE_SOURCE_DIR} rev-parse --git-path logs/HEAD
      OUTPUT_VARIABLE log
      OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    get_filename_component(log "${log}" ABSOLUTE BASE_DIR ${CMAKE_SOURCE_DIR})
    if(EXISTS ${log})
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${log})
    endif()
  endif()
endif()
set(build "commit unknown")
if(commit)
  set(build "commit ${commit}")
endif()
list(APPEND build "${CMAKE_BUILD_TYPE}" "${CMAKE_SYSTEM_PROCESSOR}"
     "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
if(CLUSTERD_STATIC_DEPENDENCIES)
  list(APPEND build "static dependencies")
endif()
if(CLUSTERD_SANITIZE)
  string(REPLACE "," " and " sanitizers "${CLUSTERD_SANITIZE}")
  list(APPEND build "sanitizers ${sanitizers}")
endif()
list(JOIN build ", " CLUSTERD_BUILD_DESCRIPTION)
configure_file(${CMAKE_SOURCE_DIR}/src/core/build_info.h.in
               ${CMAKE_BINARY_DIR}/generated/core/build_info.h @ONLY)
