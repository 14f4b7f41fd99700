#include "core/audit_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace clusterd {
namespace {

absl::Status errno_status(const std::string& path) {
  return absl::ErrnoToStatus(errno, "audit.file \"" + path + "\"");
}

std::string numbered(const std::string& path, uint32_t number) {
  return number == 0 ? path : path + "." + std::to_string(number);
}

}  // namespace

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::open(const SchedulerConfig::Audit& config) {
  std::unique_ptr<AuditLog> log(new AuditLog(config));
  const std::lock_guard lock(log->mutex_);
  if (absl::Status status = log->open_file(); !status.ok()) return status;
  return log;
}

AuditLog::~AuditLog() { close_file(); }

void AuditLog::close_file() {
  if (file_ >= 0) ::close(std::exchange(file_, -1));
}

absl::Status AuditLog::open_file() {
  close_file();
  const absl::Status status = open_checked();
  if (!status.ok()) close_file();
  return status;
}

absl::Status AuditLog::open_checked() {
  const int file =
      ::open(config_.file.c_str(),
             O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
  if (file < 0) return errno_status(config_.file);
  file_ = file;
  struct stat status {};
  if (fstat(file_, &status) != 0) return errno_status(config_.file);
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError("audit.file \"" + config_.file + "\" is no regular file");
  }
  if ((status.st_mode & 0777) != 0600 && fchmod(file_, 0600) != 0) {
    return errno_status(config_.file);
  }
  size_ = static_cast<uint64_t>(status.st_size);
  return absl::OkStatus();
}

bool AuditLog::is_in_place() {
  struct stat open {};
  struct stat named {};
  const bool is_same = file_ >= 0 && fstat(file_, &open) == 0 &&
                       stat(config_.file.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
                       open.st_dev == named.st_dev;
  if (is_same) size_ = static_cast<uint64_t>(open.st_size);  // somebody may have cut it
  return is_same;
}

absl::Status AuditLog::rotate() {
  for (uint32_t number = config_.max_files - 1; number > 0; --number) {
    const std::string from = numbered(config_.file, number - 1);
    const std::string to = numbered(config_.file, number);
    if (rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) return errno_status(to);
  }
  if (config_.max_files == 1 && unlink(config_.file.c_str()) != 0)
    return errno_status(config_.file);
  return open_file();
}

absl::Status AuditLog::append(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  const std::lock_guard lock(mutex_);
  absl::Status status;
  if (!is_in_place()) status = open_file();
  if (status.ok() && size_ > 0 && size_ + text.size() > config_.max_size_bytes) status = rotate();
  if (!status.ok()) return status;
  const ssize_t written = write(file_, text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) {
    size_ += text.size();
    return absl::OkStatus();
  }
  if (written < 0) return errno_status(config_.file);
  // A part of a line would spoil the next one.
  if (ftruncate(file_, static_cast<off_t>(size_)) != 0) return errno_status(config_.file);
  return absl::ResourceExhaustedError("audit.file \"" + config_.file + "\": no space left");
}

}  // namespace clusterd
