#include "bench/stop_fd.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

namespace clusterd::bench {

StopFd::StopFd(std::stop_token token)
    : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), token_(std::move(token)) {
  callback_.emplace(token_, [fd = fd_] { eventfd_write(fd, 1); });
}

StopFd::~StopFd() {
  callback_.reset();
  close(fd_);
}

}  // namespace clusterd::bench
