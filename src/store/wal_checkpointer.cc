#include "store/wal_checkpointer.h"

#include <pthread.h>
#include <sqlite3.h>

#include <utility>

namespace clusterd {

WalCheckpointer::WalCheckpointer(std::unique_ptr<SqliteDatabase> database)
    : database_(std::move(database)), thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "checkpoint");
}

WalCheckpointer::~WalCheckpointer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void WalCheckpointer::on_log_growth(int pages) {
  {
    const std::lock_guard lock(mutex_);
    if (pages < done_pages_) done_pages_ = 0;  // the log has started anew
    if (pages - done_pages_ < kStepPages) return;
    done_pages_ = pages;
    wanted_ = true;
  }
  wake_.notify_one();
}

absl::Status WalCheckpointer::take_error() {
  const std::lock_guard lock(mutex_);
  return std::exchange(error_, absl::OkStatus());
}

void WalCheckpointer::run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || wanted_; });
      if (stopping_) return;
      wanted_ = false;
    }
    absl::Status status = checkpoint();
    // No room is no damage: the log keeps everything and grows.
    if (status.ok() || absl::IsResourceExhausted(status)) continue;
    const std::lock_guard lock(mutex_);
    error_ = std::move(status);
  }
}

absl::Status WalCheckpointer::checkpoint() {
  const int result = sqlite3_wal_checkpoint_v2(database_->handle(), nullptr,
                                               SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (result == SQLITE_OK || result == SQLITE_BUSY) return absl::OkStatus();
  return database_->error(result);
}

}  // namespace clusterd
