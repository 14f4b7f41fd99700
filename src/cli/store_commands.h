#pragma once

#include <string>

namespace clusterd {

// Which store: of a scheduler's configuration, or a file.
struct StoreFlags {
  std::string config_file;
  std::string path;  // comes first
};

struct StoreExportCommand {
  StoreFlags store;
  std::string file;  // "-": standard output
  bool force = false;
};

struct StoreImportCommand {
  StoreFlags store;
  std::string file;
};

struct StoreCheckCommand {
  StoreFlags store;
  std::string archive;  // looked at instead of a store
  bool repair = false;
  bool json = false;
};

}  // namespace clusterd
