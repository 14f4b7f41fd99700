#include "worker/launcher/handover_fds.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace clusterd {
namespace {

// Output, error, journal, script, and a door of each hierarchy of cgroups; most need fewer.
constexpr size_t kSlots = 12;
constexpr int kFirstFd = STDERR_FILENO + 1;

std::vector<UniqueFd> copies_of(int fd) {
  std::vector<UniqueFd> copies;
  while (copies.size() < kSlots) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, kFirstFd));
    if (!copy.valid()) break;
    copies.push_back(std::move(copy));
  }
  return copies;
}

int end_of(int fd, const std::vector<UniqueFd>& slots) {
  int last = std::max(fd, STDERR_FILENO);
  for (const UniqueFd& slot : slots) last = std::max(last, slot.get());
  return last + 1;
}

}  // namespace

HandoverFds::HandoverFds()
    : null_(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
      slots_(copies_of(null_.get())),
      least_end_(end_of(null_.get(), slots_)),
      end_(least_end_) {}

int HandoverFds::put(int fd) {
  if (fd < least_end_) return fd;
  if (used_ < slots_.size() && ::dup3(fd, slots_[used_].get(), O_CLOEXEC) >= 0) {
    return slots_[used_++].get();
  }
  end_ = std::max(end_, fd + 1);
  return fd;
}

void HandoverFds::clear() {
  while (used_ > 0) (void)::dup3(null_.get(), slots_[--used_].get(), O_CLOEXEC);
  end_ = least_end_;
}

}  // namespace clusterd
