# Links everything but the C library into the executable, so that it runs on a machine that has
# none of the packages it was built with, and starts in half the time.
#
# Debian's CMake files name shared libraries. The targets keep their names here and point to the
# archives instead, so no other file of the tree knows which way a program is linked.
set(CMAKE_FIND_LIBRARY_SUFFIXES .a .so)
set(Protobuf_USE_STATIC_LIBS ON)
set(OPENSSL_USE_STATIC_LIBS ON)
set(Boost_USE_STATIC_LIBS ON)
set(ZLIB_USE_STATIC_LIBS ON)
add_link_options(-static-libstdc++ -static-libgcc)

# gRPC's own search takes this one from pkg-config, as a bare -lre2.
find_library(CLUSTERD_RE2 re2 REQUIRED)
add_library(re2::re2 UNKNOWN IMPORTED)
set_target_properties(re2::re2 PROPERTIES IMPORTED_LOCATION ${CLUSTERD_RE2})

# The allocator of the executable, and of tests that measure what is in it; with its settings.
find_library(CLUSTERD_JEMALLOC jemalloc_pic REQUIRED)
add_library(clusterd_jemalloc UNKNOWN IMPORTED)
set_target_properties(clusterd_jemalloc PROPERTIES IMPORTED_LOCATION ${CLUSTERD_JEMALLOC}
                                                 INTERFACE_SOURCES
                                                 ${CMAKE_SOURCE_DIR}/src/jemalloc.cc)

# Points each shared library that find_package defined to the archive beside it.
function(clusterd_link_archives)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(type ${target} TYPE)
    if(NOT type STREQUAL SHARED_LIBRARY)
      continue()
    endif()
    get_target_property(configurations ${target} IMPORTED_CONFIGURATIONS)
    foreach(configuration IN LISTS configurations)
      get_target_property(library ${target} IMPORTED_LOCATION_${configuration})
      string(REGEX REPLACE "\\.so(\\.[0-9]+)*$" ".a" archive "${library}")
      if(EXISTS "${archive}")
        set_target_properties(${target} PROPERTIES IMPORTED_LOCATION_${configuration} ${archive}
                                                   IMPORTED_SONAME_${configuration} "")
      endif()
    endforeach()
  endforeach()
  # Nothing but a static initialiser names the reflection service's object file: ask for it.
  if(TARGET gRPC::grpc++_reflection)
    set_property(
      TARGET gRPC::grpc++_reflection
      APPEND
      PROPERTY INTERFACE_LINK_OPTIONS
               LINKER:-u,_ZN4grpc10reflection39InitProtoReflectionServerBuilderPluginEv)
  endif()
endfunction()

# Debian has no archive of these three.
function(clusterd_build_what_has_no_archive)
  # spdlog and fmt: their headers are enough.
  add_library(clusterd_spdlog INTERFACE)
  target_compile_definitions(clusterd_spdlog INTERFACE SPDLOG_FMT_EXTERNAL FMT_HEADER_ONLY=1)
  target_link_libraries(clusterd_spdlog INTERFACE Threads::Threads)
  add_library(spdlog::spdlog ALIAS clusterd_spdlog)

  # toml++: its headers, compiled once as in its shared library. NDEBUG as there: what it asserts
  # is not true of every input, and is not needed.
  set(toml ${CMAKE_BINARY_DIR}/toml.cc)
  file(CONFIGURE OUTPUT ${toml} CONTENT "#define TOML_IMPLEMENTATION\n#include <toml++/toml.h>\n")
  add_library(clusterd_toml STATIC ${toml})
  target_compile_definitions(clusterd_toml PUBLIC TOML_HEADER_ONLY=0 PRIVATE NDEBUG)
  add_library(tomlplusplus::tomlplusplus ALIAS clusterd_toml)

  # ISA-L: the one function of it that is used.
  add_library(clusterd_crc32c STATIC ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/crc32_iscsi.cc)
  target_link_libraries(clusterd_crc32c PRIVATE clusterd_warnings)
  add_library(PkgConfig::ISAL ALIAS clusterd_crc32c)
endfunction()
