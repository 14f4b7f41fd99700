#include "core/port_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace clusterd {
namespace {

constexpr mode_t kMode = 0644;

absl::Status failed(const std::string& path) {
  return absl::ErrnoToStatus(errno, "port file \"" + path + "\"");
}

absl::Status write_all(int file, const std::string& text, const std::string& path) {
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = write(file, text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed(path);
    written += static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status write_port_file(const std::string& path, const std::vector<std::string>& lines) {
  if (path.empty()) return absl::OkStatus();
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  // In the same folder, since a rename is atomic within one file system only.
  const std::string temporary = path + ".new." + std::to_string(getpid());
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode);
  if (file < 0) return failed(path);
  absl::Status status = write_all(file, text, path);
  if (close(file) != 0 && status.ok()) status = failed(path);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) status = failed(path);
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

}  // namespace clusterd
