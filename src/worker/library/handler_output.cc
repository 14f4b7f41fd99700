#include "worker/library/handler_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace clusterd {
namespace {

constexpr size_t kPipeBytes = 64 << 10;  // what an empty pipe takes at least

}  // namespace

bool HandlerOutput::open() {
  if (log_) return true;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    set_limit(std::string("its output cannot be kept: ") + std::strerror(errno));
    return false;
  }
  pipe_.reset(ends[1]);
  log_.emplace(folder_, v1::OutputStream::MERGED, bounds_, UniqueFd(ends[0]));
  return true;
}

bool HandlerOutput::move_all() {
  while (true) {
    const auto moved = log_->move_some();
    if (moved.ok() && *moved == 0) return true;
    if (moved.ok()) continue;
    if (absl::IsUnavailable(moved.status()) && !bounds_.stops) {
      // The disk is full and there is nothing left to release.
      if (log_->skip_some() == 0) return true;
      continue;
    }
    set_limit(std::string(moved.status().message()));
    while (log_->drop_some() > 0) {
    }
    return false;
  }
}

bool HandlerOutput::write(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (is_limited_) return false;
  if (!bytes.empty() && !open()) return false;
  while (!bytes.empty()) {
    const ssize_t size = ::write(pipe_.get(), bytes.data(), std::min(bytes.size(), kPipeBytes));
    if (size > 0) bytes.remove_prefix(static_cast<size_t>(size));
    const bool moved = move_all();
    note();
    if (!moved) return false;
  }
  return true;
}

void HandlerOutput::note() {
  const v1::OutputStream now = log_->extent();
  const std::lock_guard lock(known_mutex_);
  known_ = now;
}

void HandlerOutput::set_limit(std::string why) {
  is_limited_ = true;
  const std::lock_guard lock(known_mutex_);
  limit_ = std::move(why);
}

v1::OutputStream HandlerOutput::extent() {
  const std::lock_guard lock(known_mutex_);
  return known_;
}

std::string HandlerOutput::tail(uint64_t max_bytes) {
  const std::lock_guard lock(mutex_);
  return log_ ? log_->tail(max_bytes) : "";
}

std::string HandlerOutput::limit() {
  const std::lock_guard lock(known_mutex_);
  return limit_;
}

}  // namespace clusterd
