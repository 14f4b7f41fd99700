#include "worker/launcher/handover_fds.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace clusterd {
namespace {

// Output, error, input, script, and doors of cgroups: most need one or two. What is more than these
// is handed over where it is.
constexpr size_t kSlots = 6;
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
      low_end_(end_of(null_.get(), slots_)),
      end_(std::max(null_.get(), STDERR_FILENO) + 1) {}

int HandoverFds::put(int fd) {
  int given = fd;
  const bool has_slot = fd >= low_end_ && used_ < slots_.size();
  if (has_slot && ::dup3(fd, slots_[used_].get(), O_CLOEXEC) >= 0) given = slots_[used_++].get();
  end_ = std::max(end_, given + 1);
  return given;
}

void HandoverFds::clear() {
  while (used_ > 0) (void)::dup3(null_.get(), slots_[--used_].get(), O_CLOEXEC);
  end_ = std::max(null_.get(), STDERR_FILENO) + 1;
}

}  // namespace clusterd
