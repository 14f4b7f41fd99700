#pragma once

#include <functional>
#include <utility>

namespace clusterd::gateway {

// Ends what a request waits for when its client is gone or the gateway stops. Owned by the
// HttpSession; on its strand only.
class Cancellation {
 public:
  // `action` is called at the first cancel(), at once where that has been; until disarm().
  void arm(std::function<void()> action) {
    action_ = std::move(action);
    if (cancelled_ && action_) action_();
  }
  void disarm() { action_ = nullptr; }
  void cancel() {
    cancelled_ = true;
    if (action_) action_();
  }
  [[nodiscard]] bool is_cancelled() const { return cancelled_; }

 private:
  std::function<void()> action_;
  bool cancelled_ = false;
};

}  // namespace clusterd::gateway
