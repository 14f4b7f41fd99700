# Brings the files of the .deb into the form that Debian's policy asks for: compressed manual and
# changelogs, a copyright file, lintian's overrides.
set(root "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr")
set(doc "${root}/share/doc/clusterd")
set(version "${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")

file(RENAME ${doc}/CHANGELOG.md ${doc}/changelog)
file(REMOVE ${doc}/LICENSE)
configure_file(${CPACK_CLUSTERD_PACKAGING}/debian/copyright.in ${doc}/copyright @ONLY)
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(
  WRITE ${doc}/changelog.Debian
  "clusterd (${version}) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- ${CPACK_PACKAGE_CONTACT}  ${date}\n"
)
file(GLOB pages ${root}/share/man/man1/*.1)
execute_process(COMMAND gzip -9nf ${pages} ${doc}/changelog ${doc}/changelog.Debian
                        COMMAND_ERROR_IS_FATAL ANY)
file(MAKE_DIRECTORY ${root}/share/lintian/overrides)
configure_file(${CPACK_CLUSTERD_PACKAGING}/debian/lintian-overrides
               ${root}/share/lintian/overrides/clusterd COPYONLY)
