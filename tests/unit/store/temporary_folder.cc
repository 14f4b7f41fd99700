#include "unit/store/temporary_folder.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <system_error>

namespace clusterd {

TemporaryFolder::TemporaryFolder()
    : path_(std::filesystem::temp_directory_path() / "clusterd-store-XXXXXX") {
  REQUIRE(::mkdtemp(path_.data()) != nullptr);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  CHECK_FALSE(error);
}

}  // namespace clusterd
