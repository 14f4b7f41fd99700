#include "worker/launcher/stream_log.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/units.h"
#include "worker/output_files.h"

namespace clusterd {
namespace {

constexpr uint64_t kPipeBytes = 1 << 20;
constexpr uint64_t kBlockBytes = 4096;
constexpr uint64_t kMaxReleaseStep = 1 << 20;
// With less than this free, a disk may be full before a stream's next byte comes.
constexpr uint64_t kLowSpaceBytes = 1 << 30;
// Making less room than this at a time would take longer than it is worth.
constexpr uint64_t kLeastRoomBytes = 64 << 10;

// Makes `folder` and the two above it, each 0700. Those that are there stay as they are.
void make_folders(const std::string& folder) {
  const size_t job_end = folder.rfind('/');
  const size_t output_end = folder.rfind('/', job_end - 1);
  for (const size_t end : {output_end, job_end, folder.size()}) {
    (void)::mkdir(folder.substr(0, end).c_str(), 0700);
  }
}

uint64_t block_begin(uint64_t offset) { return offset / kBlockBytes * kBlockBytes; }

// "67108864 bytes (64MiB)", "10000 bytes".
std::string bytes_text(uint64_t bytes) {
  const std::string number = std::to_string(bytes);
  const std::string size = format_size(bytes);
  return number + " bytes" + (size == number ? "" : " (" + size + ")");
}

bool is_for_want_of_room(int error) { return error == ENOSPC || error == EDQUOT; }

}  // namespace

StreamLog::StreamLog(std::string folder, v1::OutputStream::Stream stream, OutputBounds bounds,
                     UniqueFd fifo)
    : folder_(std::move(folder)), stream_(stream), bounds_(bounds), fifo_(std::move(fifo)) {
  (void)open_log(false);
}

absl::Status StreamLog::open_log(bool create) {
  if (log_.valid() && !skipped_unrecorded_) return absl::OkStatus();
  if (create) make_folders(folder_);
  const std::string path = log_path(folder_, stream_);
  if (!log_.valid()) {
    // Not O_APPEND: splice refuses it.
    log_.reset(::open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600));
    struct stat info {};
    if (!log_.valid() || ::fstat(log_.get(), &info) != 0) {
      return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
    }
    const uint64_t kept = read_first_kept(folder_, stream_).value_or(0);
    has_kept_file_ = kept > 0;
    // A launcher that ended between the two had skipped bytes up to there.
    const uint64_t known = std::max(static_cast<uint64_t>(info.st_size), kept);
    length_ = std::max(length_, known);
    first_kept_ = std::max(first_kept_, kept);
    if (needs_reserve()) take_reserve();
  }
  if (skipped_unrecorded_ && !record_skipped()) {
    return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

int64_t StreamLog::splice_to_log(uint64_t max_bytes) {
  auto offset = static_cast<loff_t>(length_);
  return ::splice(fifo_.get(), nullptr, log_.get(), &offset, max_bytes,
                  SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

absl::StatusOr<uint64_t> StreamLog::move_some() {
  uint64_t allowed = kPipeBytes;
  if (bounds_.stops && bounds_.max_bytes > 0) {
    allowed = std::min(allowed, bounds_.max_bytes - std::min(bounds_.max_bytes, length_));
    int waiting = 0;
    if (allowed == 0 && ::ioctl(fifo_.get(), FIONREAD, &waiting) == 0 && waiting > 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("it wrote more than ", bytes_text(bounds_.max_bytes), " to its ",
                       stream_name(stream_), " output, and its policy is to stop"));
    }
    if (allowed == 0) return 0;
  }
  const absl::Status open = open_log(true);
  if (!open.ok()) return open;
  if (!pipe_enlarged_) {
    (void)::fcntl(fifo_.get(), F_SETPIPE_SZ, kPipeBytes);  // best effort: users have a quota
    pipe_enlarged_ = true;
  }
  int64_t moved = splice_to_log(allowed);
  while (moved < 0 && is_for_want_of_room(errno) && make_room()) moved = splice_to_log(allowed);
  if (moved < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (moved < 0) {
    return absl::UnavailableError(
        absl::StrCat(log_path(folder_, stream_), ": ", std::strerror(errno)));
  }
  length_ += static_cast<uint64_t>(moved);
  release_beyond_bound();
  return static_cast<uint64_t>(moved);
}

uint64_t StreamLog::take_away() {
  if (!null_.valid()) null_.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  const ssize_t taken = ::splice(fifo_.get(), nullptr, null_.get(), nullptr, kPipeBytes,
                                 SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  return taken > 0 ? static_cast<uint64_t>(taken) : 0;
}

uint64_t StreamLog::drop_some() { return take_away(); }

uint64_t StreamLog::skip_some() {
  const uint64_t taken = take_away();
  if (taken == 0) return 0;
  length_ += taken;
  given_up_ += length_ - first_kept_;
  first_kept_ = length_;
  skipped_unrecorded_ = true;
  (void)open_log(true);
  return taken;
}

bool StreamLog::record_skipped() {
  // In this order: a reader must not see the hole as bytes of the job.
  if (!write_first_kept(folder_, stream_, first_kept_).ok()) return false;
  has_kept_file_ = true;
  if (::ftruncate(log_.get(), static_cast<off_t>(length_)) != 0) return false;
  (void)::fallocate(log_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                    static_cast<off_t>(block_begin(first_kept_)));
  skipped_unrecorded_ = false;
  return true;
}

uint64_t StreamLog::release_step() const {
  const uint64_t size = bounds_.max_bytes > 0 ? bounds_.max_bytes : 8 * kMaxReleaseStep;
  return std::clamp(block_begin(size / 8), kBlockBytes, kMaxReleaseStep);
}

void StreamLog::release_beyond_bound() {
  if (bounds_.stops || bounds_.max_bytes == 0) return;
  if (length_ - first_kept_ <= bounds_.max_bytes) return;
  const uint64_t first = block_begin(length_ - bounds_.max_bytes);
  if (first >= first_kept_ + release_step()) (void)release_to(first);
}

bool StreamLog::release_to(uint64_t first) {
  // Readers look at it after they have read; so it is told before the bytes go.
  if (!write_first_kept(folder_, stream_, first).ok()) return false;
  has_kept_file_ = true;
  first_kept_ = first;
  return ::fallocate(log_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                     static_cast<off_t>(first)) == 0;
}

bool StreamLog::make_room() {
  if (bounds_.stops) return false;
  const uint64_t before = first_kept_;
  const uint64_t first = std::min(block_begin(before) + release_step(), block_begin(length_));
  if (first < before + kLeastRoomBytes || !release_to(first)) return false;
  given_up_ += first - before;
  return true;
}

bool StreamLog::needs_reserve() const {
  if (has_kept_file_ || bounds_.stops || !log_.valid()) return false;
  struct statvfs space {};
  return ::fstatvfs(log_.get(), &space) == 0 &&
         uint64_t{space.f_bavail} * space.f_frsize < kLowSpaceBytes;
}

void StreamLog::take_reserve() {
  has_kept_file_ = write_first_kept(folder_, stream_, first_kept_).ok();
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
