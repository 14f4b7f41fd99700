#include "rpc/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace clusterd {
namespace {

absl::Status failed(const char* what, int descriptor) {
  const int error = errno;
  if (descriptor >= 0) close(descriptor);
  return absl::ErrnoToStatus(error, what);
}

}  // namespace

MemoryFile::~MemoryFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status MemoryFile::replace(std::string_view text) {
  const int fresh = memfd_create("tls", MFD_CLOEXEC);
  if (fresh < 0) return failed("memfd_create", fresh);
  while (!text.empty()) {
    const ssize_t written = write(fresh, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("write to a memory file", fresh);
    text.remove_prefix(static_cast<size_t>(written));
  }
  const std::array<timespec, 2> times = {{{.tv_sec = time_ + 1}, {.tv_sec = time_ + 1}}};
  if (futimens(fresh, times.data()) != 0) return failed("futimens of a memory file", fresh);
  ++time_;
  if (descriptor_ < 0) {
    descriptor_ = fresh;
    return absl::OkStatus();
  }
  if (dup3(fresh, descriptor_, O_CLOEXEC) < 0) return failed("dup3 of a memory file", fresh);
  close(fresh);
  return absl::OkStatus();
}

}  // namespace clusterd
