#include "core/event_loop.h"

#include <pthread.h>

#include <utility>

namespace clusterd {

EventLoop::EventLoop(const std::string& name, const Clock& clock,
                     absl::AnyInvocable<std::optional<BootTime>()> on_turn)
    : clock_(clock), on_turn_(std::move(on_turn)), thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

EventLoop::~EventLoop() { stop(); }

void EventLoop::post(Task task) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    wake = posted_.empty();
    posted_.push_back(std::move(task));
  }
  if (wake) wake_.notify_one();
}

void EventLoop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void EventLoop::run() {
  std::vector<Task> batch;
  std::optional<BootTime> deadline;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      while (posted_.empty() && !stopping_) {
        if (!deadline) {
          wake_.wait(lock);
          continue;
        }
        const auto left = *deadline - clock_.now().boot;
        if (left <= left.zero()) break;
        wake_.wait_for(lock, left);
      }
      if (posted_.empty() && stopping_) return;
      batch.swap(posted_);
    }
    for (Task& task : batch) {
      task();
      task = nullptr;  // what a task captured goes before the next one runs
    }
    batch.clear();
    deadline = on_turn_();
  }
}

}  // namespace clusterd
