#include "client/call_timer.h"

#include <algorithm>

namespace clusterd {

CallTimer::CallTimer() : thread_([this] { run(); }) {}

CallTimer::~CallTimer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

uint64_t CallTimer::run_at(Time time, std::function<void()> task) {
  uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = ++last_;
    tasks_.emplace(std::pair(time, number), std::move(task));
  }
  wake_.notify_all();
  return number;
}

void CallTimer::hasten(uint64_t number) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(tasks_.begin(), tasks_.end(), [number](const auto& entry) {
      return entry.first.second == number;
    });
    if (found == tasks_.end()) return;
    auto node = tasks_.extract(found);
    node.key().first = Time::min();
    tasks_.insert(std::move(node));
  }
  wake_.notify_all();
}

void CallTimer::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (tasks_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const auto first = tasks_.begin();
    if (first->first.first > std::chrono::steady_clock::now()) {
      const Time due = first->first.first;
      wake_.wait_until(lock, due);
      continue;
    }
    std::function<void()> task = std::move(first->second);
    tasks_.erase(first);
    lock.unlock();
    task();
    task = nullptr;  // what it holds may end with it, which is not for the lock
    lock.lock();
  }
}

}  // namespace clusterd
