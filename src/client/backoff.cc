#include "client/backoff.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

namespace clusterd {
namespace {

constexpr std::chrono::milliseconds kFirst(50);
constexpr std::chrono::milliseconds kLongest(2000);

}  // namespace

Backoff::Backoff()
    : random_(std::random_device{}()), next_(kFirst), since_(std::chrono::steady_clock::now()) {}

void Backoff::reset() {
  next_ = kFirst;
  since_ = std::chrono::steady_clock::now();
}

void Backoff::pause(const std::stop_token& stop) {
  std::uniform_int_distribution<int64_t> jitter(next_.count() / 2, next_.count());
  const std::chrono::milliseconds length(jitter(random_));
  next_ = std::min(next_ * 2, kLongest);
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, length, [] { return false; });
}

std::chrono::nanoseconds Backoff::elapsed() const {
  return std::chrono::steady_clock::now() - since_;
}

}  // namespace clusterd
