#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/status/status.h"
#include "store/sqlite_database.h"

namespace clusterd {

// Moves what is committed from the write-ahead log into the file, on a thread and a connection of
// its own, so that a commit pays for its own bytes only.
//
// Commits never wait for it; SqliteWriter bounds the log where it cannot keep up. Owned by
// SqliteStore; the destructor ends the thread.
class WalCheckpointer {
 public:
  static constexpr int kStepPages = 1'000;  // 4 MiB of growth between two checkpoints

  explicit WalCheckpointer(std::unique_ptr<SqliteDatabase> database);
  ~WalCheckpointer();
  WalCheckpointer(const WalCheckpointer&) = delete;
  WalCheckpointer& operator=(const WalCheckpointer&) = delete;

  // The log is `pages` long. Any thread; never blocks on the disk.
  void on_log_growth(int pages);

  // The error of the last checkpoint, told once: the store must then be read anew.
  [[nodiscard]] absl::Status take_error();

 private:
  void run();
  [[nodiscard]] absl::Status checkpoint();

  std::unique_ptr<SqliteDatabase> database_;  // its thread only
  std::mutex mutex_;
  std::condition_variable wake_;
  int done_pages_ = 0;     // guarded by mutex_; length of the log at the last checkpoint
  bool wanted_ = false;    // guarded by mutex_
  absl::Status error_;     // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace clusterd
