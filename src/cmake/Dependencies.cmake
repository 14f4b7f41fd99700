# Debian 12's packages; the list to install is in tests/packages.txt.
find_package(Protobuf REQUIRED)  # MODULE mode, before gRPC
find_package(gRPC CONFIG REQUIRED)
find_package(absl REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(spdlog REQUIRED)
find_package(Catch2 2.13 REQUIRED)
include(Catch)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ISAL REQUIRED IMPORTED_TARGET libisal)
find_package(tomlplusplus REQUIRED)
find_package(CLI11 REQUIRED)
