#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace clusterd::fuzz {

// A folder of this process's own, for those who fuzz what is read from files.
struct Folder {
  Folder() {
    if (::mkdtemp(path.data()) == nullptr) std::abort();
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path = std::filesystem::temp_directory_path() / "clusterd-fuzz-XXXXXX";
};

}  // namespace clusterd::fuzz
