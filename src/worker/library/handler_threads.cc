#include "worker/library/handler_threads.h"

#include <pthread.h>

#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/library/crash_note.h"

namespace clusterd {

HandlerThreads::~HandlerThreads() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

absl::Status HandlerThreads::run(absl::AnyInvocable<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (tasks_.size() == idle_) {
      try {
        threads_.emplace_back([this] { work(); });
      } catch (const std::system_error& error) {
        return absl::ResourceExhaustedError(absl::StrCat("no thread for it: ", error.what()));
      }
      pthread_setname_np(threads_.back().native_handle(), "handler");
      ++idle_;  // it takes this task or an earlier one
    }
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
  return absl::OkStatus();
}

void HandlerThreads::work() {
  const CrashNotes::Stack stack;
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return closing_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    absl::AnyInvocable<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    --idle_;
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
    ++idle_;
  }
}

}  // namespace clusterd
