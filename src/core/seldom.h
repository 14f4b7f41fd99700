#pragma once

#include <memory>

namespace clusterd {

// A T that few of its many owners ever change: until then it takes a pointer's room and reads as
// T(). A value, which moves as one; threads as with T.
template <typename T>
class Seldom {
 public:
  [[nodiscard]] const T& operator*() const { return value_ == nullptr ? unchanged() : *value_; }
  [[nodiscard]] const T* operator->() const { return &**this; }

  [[nodiscard]] T& edit() {
    if (value_ == nullptr) value_ = std::make_unique<T>();
    return *value_;
  }
  // It is T() again.
  void reset() { value_.reset(); }

 private:
  static const T& unchanged() {
    static const T kUnchanged{};
    return kUnchanged;
  }

  std::unique_ptr<T> value_;
};

}  // namespace clusterd
