# What differs between the packages; read by CPack once for each.
if(CPACK_GENERATOR STREQUAL "DEB")
  set(CPACK_SET_DESTDIR ON)  # configuration is in /etc
  set(CPACK_INSTALL_PREFIX /usr)
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  set(CPACK_INSTALL_CMAKE_PROJECTS "${CPACK_CLUSTERD_BUILD};clusterd;runtime;/"
                                   "${CPACK_CLUSTERD_BUILD};clusterd;system;/")
  set(CPACK_PRE_BUILD_SCRIPTS ${CPACK_CLUSTERD_PACKAGING}/debian/as_policy_says.cmake)
else()
  set(CPACK_INCLUDE_TOPLEVEL_DIRECTORY ON)
  set(CPACK_INSTALL_CMAKE_PROJECTS "${CPACK_CLUSTERD_BUILD};clusterd;runtime;/")
endif()
