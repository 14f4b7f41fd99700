#include "worker/launcher/cgroup_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "worker/unique_fd.h"

namespace clusterd {

std::string read_cgroup_file(int folder, const char* name) {
  const UniqueFd file(::openat(folder, name, O_RDONLY | O_CLOEXEC));
  return file.valid() ? reread_file(file.get()) : "";
}

std::string reread_file(int file) {
  std::string text;
  std::array<char, 4096> block;
  while (true) {
    const ssize_t size = ::pread(file, block.data(), block.size(), static_cast<off_t>(text.size()));
    if (size <= 0) return text;
    text.append(block.data(), static_cast<size_t>(size));
    // The kernel stops early for nothing but a line that finds no room.
    if (static_cast<size_t>(size) < block.size() / 2) return text;
  }
}

absl::Status write_cgroup_file(int folder, const char* name, std::string_view text) {
  const UniqueFd file(::openat(folder, name, O_WRONLY | O_CLOEXEC));
  const bool written = file.valid() && ::write(file.get(), text.data(), text.size()) ==
                                           static_cast<ssize_t>(text.size());
  if (written) return absl::OkStatus();
  const int error = errno;
  const std::string what = absl::StrCat(name, " = ", std::string(text));
  return absl::ErrnoToStatus(error, what);
}

std::optional<uint64_t> cgroup_number(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ' ') continue;
    line.remove_prefix(key.size() + 1);
    uint64_t number = 0;
    const auto parsed = std::from_chars(line.data(), line.data() + line.size(), number);
    if (parsed.ec == std::errc()) return number;
  }
  return std::nullopt;
}

std::vector<std::string> cgroup_children(int folder) {
  std::vector<std::string> names;
  struct stat info {};
  // The kernel counts a link for each folder below; most cgroups have none.
  if (::fstat(folder, &info) == 0 && info.st_nlink == 2) return names;
  const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const auto close = [](DIR* open) { (void)::closedir(open); };
  const std::unique_ptr<DIR, decltype(close)> open(copy < 0 ? nullptr : ::fdopendir(copy), close);
  if (open == nullptr) return names;
  while (const dirent* entry = ::readdir(open.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

absl::Status remove_cgroup(const std::string& path) {
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  const UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const std::string& name : cgroup_children(folder.get())) {
    const absl::Status removed = remove_cgroup(absl::StrCat(path, "/", name));
    if (!removed.ok()) return removed;
  }
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, path);
}

}  // namespace clusterd
