#include "core/file_watch.h"

#include <sys/stat.h>

#include <utility>

namespace clusterd {

FileWatch::FileWatch(std::vector<std::string> paths)
    : paths_(std::move(paths)), known_(read()), last_(known_) {}

bool FileWatch::look() {
  State now = read();
  const bool at_rest = now == last_;
  last_ = std::move(now);
  if (!at_rest || last_ == known_) return false;
  known_ = last_;
  return true;
}

void FileWatch::settle() { known_ = last_ = read(); }

FileWatch::State FileWatch::read() const {
  State state;
  for (const std::string& path : paths_) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) {
      state.emplace_back();
      continue;
    }
    state.emplace_back(std::vector<int64_t>{
        static_cast<int64_t>(info.st_dev), static_cast<int64_t>(info.st_ino), info.st_size,
        info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec});
  }
  return state;
}

}  // namespace clusterd
