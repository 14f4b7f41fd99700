#pragma once

#include <sys/eventfd.h>

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "worker/unique_fd.h"

namespace clusterd {

// A queue into a thread that waits in epoll: whoever pushes wakes it through fd(). Lock and data
// are together; see docs/architecture.md#threads. Owned by the receiving thread's object.
template <typename T>
class Mailbox {
 public:
  Mailbox() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  // Readable while something may be there.
  [[nodiscard]] int fd() const { return event_.get(); }

  // Any thread.
  void push(T item) {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      wake = items_.empty();
      items_.push_back(std::move(item));
    }
    if (wake) (void)::eventfd_write(event_.get(), 1);
  }

  // The receiving thread: all that came, in order.
  [[nodiscard]] std::vector<T> take() {
    eventfd_t count = 0;
    (void)::eventfd_read(event_.get(), &count);
    const std::lock_guard lock(mutex_);
    return std::exchange(items_, {});
  }

 private:
  UniqueFd event_;
  std::mutex mutex_;
  std::vector<T> items_;  // guarded by mutex_
};

}  // namespace clusterd
