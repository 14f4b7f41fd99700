# Installs what runs clusterd as services: units, configuration, log rotation. Run by cmake --install
# and by CPack, with CMAKE_INSTALL_PREFIX and DESTDIR as they are then.
set(root "$ENV{DESTDIR}")
set(bin "${CMAKE_INSTALL_PREFIX}/bin")
set(units "${root}${CMAKE_INSTALL_PREFIX}/lib/systemd/system")

foreach(unit clusterd-scheduler clusterd-worker clusterd-jobs)
  message(STATUS "Installing: ${units}/${unit}.service")
  configure_file(${packaging}/systemd/${unit}.service.in ${units}/${unit}.service @ONLY)
endforeach()

# keep(FROM TO): what an administrator has changed stays.
function(keep from to)
  if(EXISTS "${root}${to}")
    message(STATUS "Kept as it is: ${root}${to}")
    return()
  endif()
  message(STATUS "Installing: ${root}${to}")
  configure_file(${from} "${root}${to}" COPYONLY FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ
                                                                   WORLD_READ)
endfunction()

keep(${packaging}/config/scheduler.toml /etc/clusterd/scheduler.toml)
keep(${packaging}/config/worker.toml /etc/clusterd/worker.toml)
keep(${packaging}/logrotate /etc/logrotate.d/clusterd)
