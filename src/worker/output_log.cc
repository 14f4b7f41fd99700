#include "worker/output_log.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/output_files.h"
#include "worker/unique_fd.h"

namespace clusterd {
namespace {

constexpr uint64_t kTailBlockBytes = 64 << 10;

}  // namespace

std::string output_folder(const std::string& data_dir, const v1::AttemptKey& key) {
  return absl::StrCat(data_dir, "/output/", key.job_id(), "/", key.attempt());
}

OutputReader::OutputReader(std::string folder, v1::OutputStream::Stream stream)
    : folder_(std::move(folder)), stream_(stream) {}

OutputReader::OutputReader(OutputReader&& other) noexcept
    : folder_(std::move(other.folder_)),
      stream_(other.stream_),
      log_fd_(std::exchange(other.log_fd_, -1)) {}

OutputReader& OutputReader::operator=(OutputReader&& other) noexcept {
  std::swap(folder_, other.folder_);
  std::swap(stream_, other.stream_);
  std::swap(log_fd_, other.log_fd_);
  return *this;
}

OutputReader::~OutputReader() {
  if (log_fd_ >= 0) ::close(log_fd_);
}

absl::StatusOr<OutputReader> OutputReader::open(const std::string& folder,
                                                v1::OutputStream::Stream stream) {
  if (stream_name(stream).empty()) {
    return absl::InvalidArgumentError("stream: one of MERGED, STDOUT, STDERR");
  }
  return OutputReader(folder, stream);
}

absl::StatusOr<v1::OutputStream> OutputReader::extent() {
  v1::OutputStream extent;
  extent.set_stream(stream_);
  if (log_fd_ < 0) {
    const std::string path = log_path(folder_, stream_);
    log_fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (log_fd_ < 0 && errno == ENOENT) return extent;
    if (log_fd_ < 0) return absl::DataLossError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  struct stat info {};
  if (::fstat(log_fd_, &info) != 0) return absl::DataLossError(std::strerror(errno));
  const absl::StatusOr<uint64_t> first_kept = read_first_kept(folder_, stream_);
  if (!first_kept.ok()) return first_kept.status();
  extent.set_first_kept(*first_kept);
  extent.set_total_bytes(std::max(static_cast<uint64_t>(info.st_size), *first_kept));
  return extent;
}

absl::StatusOr<OutputBytes> OutputReader::read(uint64_t offset, uint64_t max_bytes) {
  while (true) {
    const absl::StatusOr<v1::OutputStream> before = extent();
    if (!before.ok()) return before.status();
    OutputBytes bytes;
    bytes.offset = std::max(offset, before->first_kept());
    if (bytes.offset >= before->total_bytes()) return bytes;
    bytes.data.resize(std::min(max_bytes, before->total_bytes() - bytes.offset));
    const ssize_t size =
        ::pread(log_fd_, bytes.data.data(), bytes.data.size(), static_cast<off_t>(bytes.offset));
    if (size < 0) {
      return absl::DataLossError(
          absl::StrCat(log_path(folder_, stream_), ": ", std::strerror(errno)));
    }
    bytes.data.resize(static_cast<size_t>(size));
    // What was released while it was being read may have come as zeros: it is skipped.
    const absl::StatusOr<uint64_t> first_kept = read_first_kept(folder_, stream_);
    if (!first_kept.ok()) return first_kept.status();
    if (*first_kept <= bytes.offset) return bytes;
    const uint64_t gone = std::min<uint64_t>(*first_kept - bytes.offset, bytes.data.size());
    bytes.data.erase(0, gone);
    bytes.offset = *first_kept;
    if (!bytes.data.empty() || max_bytes == 0) return bytes;
    offset = *first_kept;  // all of it went: empty would mean the end
  }
}

absl::StatusOr<uint64_t> OutputReader::offset_of_tail(uint32_t lines) {
  const absl::StatusOr<v1::OutputStream> now = extent();
  if (!now.ok()) return now.status();
  uint64_t end = now->total_bytes();
  if (lines == 0) return end;
  uint32_t newlines = 0;
  const uint64_t last = end;
  while (end > now->first_kept()) {
    const uint64_t begin = end - std::min(end - now->first_kept(), kTailBlockBytes);
    const absl::StatusOr<OutputBytes> block = read(begin, end - begin);
    if (!block.ok()) return block.status();
    for (size_t i = block->data.size(); i-- > 0;) {
      if (block->data[i] != '\n' || block->offset + i + 1 == last) continue;
      if (++newlines == lines) return block->offset + i + 1;
    }
    if (block->offset != begin) return block->offset;  // released meanwhile
    end = begin;
  }
  return now->first_kept();
}

}  // namespace clusterd
