# The libraries for programs that are clients or workers: `cmake --install … --component development`.
#
# Static archives, headers in include/clusterd-<major>, a CMake package with clusterd::client and
# clusterd::worker, and clusterd-client.pc and clusterd-worker.pc. Where everything is linked
# statically (the `release` preset) the archives of others are not ours to name, so there is none.
if(CLUSTERD_STATIC_DEPENDENCIES OR CLUSTERD_SANITIZE)
  return()
endif()
include(CMakePackageConfigHelpers)

set(library_headers ${CMAKE_INSTALL_INCLUDEDIR}/clusterd-${PROJECT_VERSION_MAJOR})
set(library_package ${CMAKE_INSTALL_LIBDIR}/cmake/clusterd)
set(client_archives clusterd_client clusterd_rpc clusterd_stubs clusterd_core_base clusterd_messages)
set(worker_archives
    clusterd_worker_library
    clusterd_worker_member
    clusterd_worker_decider
    clusterd_worker_admission
    clusterd_worker_launcher
    clusterd_worker_trust
    clusterd_rpc
    clusterd_stubs
    clusterd_core_base
    clusterd_messages)
set(library_targets ${client_archives} ${worker_archives} clusterd_warnings)
list(REMOVE_DUPLICATES library_targets)

set_target_properties(clusterd_client PROPERTIES EXPORT_NAME client)
set_target_properties(clusterd_worker_library PROPERTIES EXPORT_NAME worker)
foreach(target clusterd_client clusterd_worker_library)
  target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${library_headers}>)
endforeach()
install(
  TARGETS ${library_targets}
  EXPORT clusterd
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(
  EXPORT clusterd
  NAMESPACE clusterd::
  FILE clusterdTargets.cmake
  DESTINATION ${library_package}
  COMPONENT development)
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/library/clusterdConfig.cmake.in ${CMAKE_BINARY_DIR}/clusterdConfig.cmake
  INSTALL_DESTINATION ${library_package}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(
  ${CMAKE_BINARY_DIR}/clusterdConfigVersion.cmake
  VERSION ${PROJECT_VERSION}
  COMPATIBILITY SameMinorVersion) # from 1.0.0 on: SameMajorVersion
install(
  FILES ${CMAKE_BINARY_DIR}/clusterdConfig.cmake ${CMAKE_BINARY_DIR}/clusterdConfigVersion.cmake
  DESTINATION ${library_package}
  COMPONENT development)

# ---- headers: ours, and those of the messages that they name
install(
  DIRECTORY ${CMAKE_SOURCE_DIR}/include/clusterd
  DESTINATION ${library_headers}
  COMPONENT development)
install(
  DIRECTORY ${CMAKE_BINARY_DIR}/proto/
  DESTINATION ${library_headers}
  COMPONENT development
  FILES_MATCHING
  PATTERN "*.pb.h"
  PATTERN "*.grpc.pb.h" EXCLUDE
  PATTERN "CMakeFiles" EXCLUDE
  PATTERN "internal" EXCLUDE
  PATTERN "compat" EXCLUDE)
install(
  DIRECTORY ${CMAKE_SOURCE_DIR}/proto/clusterd/v1
  DESTINATION ${CMAKE_INSTALL_DATADIR}/clusterd/proto/clusterd
  COMPONENT development)
install(
  DIRECTORY ${CMAKE_SOURCE_DIR}/proto/google
  DESTINATION ${CMAKE_INSTALL_DATADIR}/clusterd/proto
  COMPONENT development)

# ---- pkg-config: found from where the file lies, so that the tree may be moved
file(RELATIVE_PATH PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
foreach(name client worker)
  set(PC_LIBRARIES)
  foreach(archive IN LISTS ${name}_archives)
    string(APPEND PC_LIBRARIES " -l${archive}")
  endforeach()
  set(PC_NAME ${name})
  configure_file(${CMAKE_CURRENT_LIST_DIR}/library/clusterd.pc.in
                 ${CMAKE_BINARY_DIR}/clusterd-${name}.pc @ONLY)
  install(
    FILES ${CMAKE_BINARY_DIR}/clusterd-${name}.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
    COMPONENT development)
endforeach()
add_custom_target(libraries DEPENDS clusterd_client clusterd_worker_library)
