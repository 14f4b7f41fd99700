# cmake --install, and packages: `cmake --build … --target packages` makes a .deb, a tar.gz and their
# SHA256SUMS in <build>/packages.
#
# Two components: `runtime` is what a user of the program needs (program, manual, completions,
# examples), `system` what runs it as a service of the machine. The tar.gz has the first only.
include(GNUInstallDirs)
set(packaging ${CMAKE_CURRENT_LIST_DIR}/packaging)
set(doc_dir ${CMAKE_INSTALL_DATADIR}/doc/clusterd)

# ---- what `clusterd` itself says for shells
set(completions ${CMAKE_BINARY_DIR}/completions)
set(completion_files)
foreach(pair "bash:clusterd" "zsh:_clusterd" "fish:clusterd.fish")
  string(REPLACE ":" ";" pair "${pair}")
  list(GET pair 0 shell)
  list(GET pair 1 name)
  add_custom_command(
    OUTPUT ${completions}/${shell}/${name}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${completions}/${shell}
    COMMAND clusterd completion ${shell} > ${completions}/${shell}/${name}
    DEPENDS clusterd
    VERBATIM)
  list(APPEND completion_files ${completions}/${shell}/${name})
endforeach()
add_custom_target(completions DEPENDS ${completion_files})

# ---- runtime
install(TARGETS clusterd RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
# Where these have been made (targets `man_pages` and `completions`).
install(
  DIRECTORY ${CMAKE_BINARY_DIR}/man/man1
  DESTINATION ${CMAKE_INSTALL_MANDIR}
  COMPONENT runtime
  OPTIONAL)
install(
  FILES ${completions}/bash/clusterd
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
  COMPONENT runtime
  OPTIONAL)
install(
  FILES ${completions}/zsh/_clusterd
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions
  COMPONENT runtime
  OPTIONAL)
install(
  FILES ${completions}/fish/clusterd.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
  COMPONENT runtime
  OPTIONAL)
install(
  DIRECTORY ${CMAKE_SOURCE_DIR}/examples
  DESTINATION ${doc_dir}
  COMPONENT runtime
  USE_SOURCE_PERMISSIONS
  PATTERN "__pycache__" EXCLUDE
  PATTERN "examples/deploy/container/tls" EXCLUDE) # keys, where somebody has made some
install(
  FILES ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/CHANGELOG.md ${CMAKE_SOURCE_DIR}/LICENSE
  DESTINATION ${doc_dir}
  COMPONENT runtime)

# ---- system: configuration is in /etc, wherever the program is; what is there already stays
install(
  CODE "
  set(packaging \"${packaging}\")
  include(\"${packaging}/install_system.cmake\")"
  COMPONENT system)

# ---- packages
set(CPACK_PACKAGE_NAME clusterd)
set(CPACK_PACKAGE_VENDOR clusterd)
set(CPACK_PACKAGE_CONTACT "maintainers of clusterd <clusterd@clusterd.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "jobs on many machines: scheduler, worker, command line")
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_PROJECT_CONFIG_FILE ${packaging}/cpack_project.cmake)
# Read by that file.
set(CPACK_CLUSTERD_BUILD ${CMAKE_BINARY_DIR})
set(CPACK_CLUSTERD_PACKAGING ${packaging})
set(CLUSTERD_PACKAGE_RELEASE 1 CACHE STRING "Revision of the Debian package of this version")

set(CPACK_DEBIAN_PACKAGE_RELEASE ${CLUSTERD_PACKAGE_RELEASE})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, init-system-helpers (>= 1.54), tzdata")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "python3, logrotate")
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "An application starts a job with one HTTP request, on a machine that it names
or on any that is free, follows the output live, stops it, and learns how it
truly ended. Jobs go on over restarts and upgrades of everything else.

The package has the program, which is scheduler, worker and command line, and
a service for each of the two daemons. Neither is started by the installation:
enable clusterd-scheduler on one machine and clusterd-worker on each that runs
jobs.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${packaging}/debian/conffiles ${packaging}/debian/postinst
                                       ${packaging}/debian/prerm ${packaging}/debian/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
string(TOLOWER "${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}" system)
set(CPACK_ARCHIVE_FILE_NAME clusterd-${PROJECT_VERSION}-${system})
set(CPACK_PACKAGE_FILE_NAME clusterd-${PROJECT_VERSION}-${system})
include(CPack)

add_custom_target(
  packages
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${CMAKE_BINARY_DIR}/packages
  COMMAND ${CMAKE_CPACK_COMMAND} --config ${CMAKE_BINARY_DIR}/CPackConfig.cmake
  COMMAND ${CMAKE_COMMAND} -D folder=${CMAKE_BINARY_DIR}/packages -P ${packaging}/checksums.cmake
  DEPENDS clusterd man_pages completions
  WORKING_DIRECTORY ${CMAKE_BINARY_DIR}
  USES_TERMINAL VERBATIM)
