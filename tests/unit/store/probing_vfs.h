#pragma once

#include <sqlite3.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace clusterd {

// SQLite's own file system layer with a look at, and a hand on, what reaches the write-ahead log.
// Registered under `name()` from construction to destruction. Any thread.
class ProbingVfs {
 public:
  explicit ProbingVfs(const std::string& name);
  ~ProbingVfs();
  ProbingVfs(const ProbingVfs&) = delete;
  ProbingVfs& operator=(const ProbingVfs&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }

  std::atomic<uint64_t> log_syncs{0};
  std::atomic<bool> log_is_dirty{false};     // written since the last sync
  std::atomic<int64_t> log_room{INT64_MAX};  // writes beyond this offset give SQLITE_FULL
  std::atomic<bool> syncs_fail{false};
  std::atomic<std::thread::id> file_writer;  // where set, others' writes to the file: SQLITE_FULL

 private:
  friend struct ProbedFile;
  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags,
                  int* out_flags);

  std::string name_;
  sqlite3_vfs* base_;
  sqlite3_vfs vfs_;
};

}  // namespace clusterd
