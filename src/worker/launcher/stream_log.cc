#include "worker/launcher/stream_log.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/output_files.h"

namespace clusterd {
namespace {

constexpr int kPipeBytes = 1 << 20;
constexpr uint64_t kBlockBytes = 4096;
constexpr uint64_t kMaxReleaseStep = 1 << 20;

// Makes `folder` and the two above it, each 0700. Those that are there stay as they are.
void make_folders(const std::string& folder) {
  const size_t job_end = folder.rfind('/');
  const size_t output_end = folder.rfind('/', job_end - 1);
  for (const size_t end : {output_end, job_end, folder.size()}) {
    (void)::mkdir(folder.substr(0, end).c_str(), 0700);
  }
}

}  // namespace

StreamLog::StreamLog(std::string folder, v1::OutputStream::Stream stream, uint64_t max_bytes,
                     UniqueFd fifo)
    : folder_(std::move(folder)), stream_(stream), max_bytes_(max_bytes), fifo_(std::move(fifo)) {
  (void)open_log(false);
}

absl::Status StreamLog::open_log(bool create) {
  if (log_.valid()) return absl::OkStatus();
  if (create) make_folders(folder_);
  const std::string path = log_path(folder_, stream_);
  // Not O_APPEND: splice refuses it.
  log_.reset(::open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600));
  struct stat info {};
  if (!log_.valid() || ::fstat(log_.get(), &info) != 0) {
    return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  length_ = static_cast<uint64_t>(info.st_size);
  first_kept_ = read_first_kept(folder_, stream_).value_or(0);
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> StreamLog::move_some() {
  const absl::Status open = open_log(true);
  if (!open.ok()) return open;
  if (!pipe_enlarged_) {
    (void)::fcntl(fifo_.get(), F_SETPIPE_SZ, kPipeBytes);  // best effort: users have a quota
    pipe_enlarged_ = true;
  }
  auto offset = static_cast<loff_t>(length_);
  const ssize_t moved = ::splice(fifo_.get(), nullptr, log_.get(), &offset, kPipeBytes,
                                 SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (moved < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (moved < 0) {
    return absl::UnavailableError(
        absl::StrCat(log_path(folder_, stream_), ": ", std::strerror(errno)));
  }
  length_ += static_cast<uint64_t>(moved);
  release_oldest();
  return static_cast<uint64_t>(moved);
}

void StreamLog::release_oldest() {
  if (max_bytes_ == 0 || length_ - first_kept_ <= max_bytes_) return;
  const uint64_t step =
      std::clamp(max_bytes_ / 8 / kBlockBytes * kBlockBytes, kBlockBytes, kMaxReleaseStep);
  const uint64_t first = (length_ - max_bytes_) / kBlockBytes * kBlockBytes;
  if (first < first_kept_ + step) return;
  // Readers look at it after they have read; so it is told before the bytes go.
  if (!write_first_kept(folder_, stream_, first).ok()) return;
  first_kept_ = first;
  (void)::fallocate(log_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                    static_cast<off_t>(first));
}

v1::OutputStream StreamLog::extent() const {
  v1::OutputStream extent;
  extent.set_stream(stream_);
  extent.set_total_bytes(length_);
  extent.set_first_kept(first_kept_);
  return extent;
}

std::string StreamLog::tail(uint64_t max_bytes) const {
  std::string bytes(std::min(max_bytes, length_ - first_kept_), '\0');
  if (!log_.valid() || bytes.empty()) return "";
  const ssize_t size =
      ::pread(log_.get(), bytes.data(), bytes.size(), static_cast<off_t>(length_ - bytes.size()));
  bytes.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return bytes;
}

}  // namespace clusterd
