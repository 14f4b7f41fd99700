# Language level, warnings, hardening, sanitizers, ccache and mold.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
find_package(Threads REQUIRED)
add_compile_options(-pthread)  # as some dependencies ask for; all sources are compiled alike

find_program(CLUSTERD_CCACHE ccache)
if(CLUSTERD_CCACHE)
  # As its manual asks for where headers are parsed in advance.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros
               CCACHE_PCH_EXTSUM=true ${CLUSTERD_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
find_program(CLUSTERD_MOLD mold)
if(CLUSTERD_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
if(CMAKE_BUILD_TYPE STREQUAL Release)
  add_compile_options(-fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=3)
  add_link_options(-Wl,-z,relro,-z,now -pie -s)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    add_compile_options(-fcf-protection)
  elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
    add_compile_options(-mbranch-protection=standard)
  endif()
endif()
if(CLUSTERD_SANITIZE)
  add_compile_options(-fsanitize=${CLUSTERD_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CLUSTERD_SANITIZE})
  # What Asio keeps to use again would hide who frees what is not theirs.
  add_compile_definitions(BOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING
                          BOOST_ASIO_DISABLE_SMALL_BLOCK_RECYCLING)
  if(CLUSTERD_SANITIZE STREQUAL thread)
    # protobuf's map_field.h lays classes out otherwise where it sees this, and the library's are not.
    add_compile_options(-U__SANITIZE_THREAD__)
  endif()
endif()
if(CLUSTERD_FUZZERS)  # the fuzzer is led by what of this it reaches
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Warnings for our own targets; generated and foreign code is not ours to warn about.
add_library(clusterd_warnings INTERFACE)
target_compile_options(clusterd_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                                   -Wnon-virtual-dtor -Werror)
# g++ 12 takes designated initialisers for missing ones, and sees phantom uses, overlaps and
# overflows in optimised builds, more of them in headers that were parsed once.
target_compile_options(
  clusterd_warnings
  INTERFACE -Wno-missing-field-initializers
            $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
            $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-Wno-restrict;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread;-Wno-free-nonheap-object>)

# Sources share the headers that src/CMakeLists.txt has parsed once, and name what they use all the
# same: the sanitizers' builds do without.
function(clusterd_precompile name)
  if(CLUSTERD_PRECOMPILE)
    target_precompile_headers(${name} REUSE_FROM clusterd_precompiled)
    get_target_property(type ${name} TYPE)
    if(type STREQUAL EXECUTABLE)
      # An executable's -fPIE does not go with what was parsed for libraries.
      set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
      target_compile_options(${name} PRIVATE -fPIC)
    endif()
  endif()
endfunction()

# clusterd_layer(NAME SOURCES … LINK …): one static library of one layer.
function(clusterd_layer name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>
                                            $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>)
  target_link_libraries(${name} PUBLIC ${arg_LINK} PRIVATE clusterd_warnings)
  clusterd_precompile(${name})
endfunction()

# Without this whole clusters in virtual time take several times as long in a debug build.
function(clusterd_optimize name)
  target_compile_options(${name} PRIVATE $<$<CONFIG:Debug>:-O1>)
  if(CMAKE_BUILD_TYPE STREQUAL Debug)
    # What was parsed in advance is for another level of optimisation.
    set_target_properties(${name} PROPERTIES DISABLE_PRECOMPILE_HEADERS ON)
  endif()
endfunction()

# clusterd_test(NAME SOURCES … LINK … [TIMEOUT SECONDS] [LABEL long]): one Catch2 program, each
# test case a CTest test. What takes minutes is labelled `long` and left out of the usual run.
function(clusterd_test name)
  cmake_parse_arguments(arg "" "TIMEOUT;LABEL" "SOURCES;LINK" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${arg_LINK} Catch2::Catch2WithMain clusterd_warnings)
  clusterd_precompile(${name})
  set(properties TIMEOUT ${arg_TIMEOUT})
  if(arg_LABEL)
    list(APPEND properties LABELS ${arg_LABEL})
  endif()
  catch_discover_tests(${name} TEST_PREFIX "${name}: " PROPERTIES ${properties})
endfunction()
