#include "worker/launcher/spawner.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace clusterd {

Spawner::Spawner(size_t threads, ChildBaseline baseline, CgroupPool& cgroups, OnResult on_result)
    : baseline_(std::move(baseline)), cgroups_(cgroups), on_result_(std::move(on_result)) {
  for (size_t i = 0; i < threads; ++i) {
    HandoverFds& handover = handover_.emplace_back();
    threads_.emplace_back([this, &handover] { work(handover); });
    pthread_setname_np(threads_.back().native_handle(), "spawn");
  }
}

Spawner::~Spawner() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    items_.clear();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Spawner::start(SpawnOrder order) { push({std::move(order), nullptr}); }

void Spawner::run(absl::AnyInvocable<void()> task) { push({SpawnOrder{}, std::move(task)}); }

void Spawner::push(Item item) {
  {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
  }
  wake_.notify_one();
}

bool Spawner::cancel(uint64_t handle) {
  const std::lock_guard lock(mutex_);
  return std::erase_if(items_, [handle](const Item& item) {
           return item.task == nullptr && item.order.handle == handle;
         }) > 0;
}

void Spawner::work(HandoverFds& handover) {
  while (true) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !items_.empty(); });
      if (stopping_) return;
      item = std::move(items_.front());
      items_.pop_front();
    }
    if (item.task != nullptr) {
      item.task();
    } else {
      SpawnWatch::Spawning spawning(watch_);
      item.order.child = &spawning.child();
      on_result_(spawn(std::move(item.order), baseline_, cgroups_, handover));
    }
  }
}

}  // namespace clusterd
