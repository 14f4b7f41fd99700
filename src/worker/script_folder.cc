#include "worker/script_folder.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "core/field_error.h"
#include "core/utf8.h"
#include "core/worker_fault.h"
#include "worker/unique_fd.h"

namespace clusterd {
namespace {

constexpr int kMaxListDepth = 16;
constexpr size_t kMaxListed = 100'000;
constexpr uint32_t kMaxPage = 1'000;
constexpr int kTriesWhenExchanged = 3;

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

bool has_content(const std::string& folder) {
  std::error_code error;
  const bool empty = std::filesystem::is_empty(folder, error);
  return !empty && !error;
}

// The absolute path of what `fd` is open on, as the kernel knows it.
absl::StatusOr<std::string> real_path(int fd) {
  std::string target(PATH_MAX, '\0');
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = readlink(link.c_str(), target.data(), target.size());
  if (length < 0) return absl::ErrnoToStatus(errno, "readlink " + link);
  if (static_cast<size_t>(length) == target.size()) {
    return absl::InvalidArgumentError("a path of " + std::to_string(length) + " bytes or more");
  }
  target.resize(static_cast<size_t>(length));
  return target;
}

// PERMISSION_DENIED where others than root and this user may write what `info` describes.
absl::Status check_writer(const std::string& field, const std::string& who,
                          const struct stat& info) {
  const std::string allowed = "; only root and the worker's user may write it";
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return field_error(
        absl::StatusCode::kPermissionDenied, field,
        who + " belongs to user " + std::to_string(info.st_uid) + ", who may change it" + allowed);
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    const bool others = (info.st_mode & S_IWOTH) != 0;
    return field_error(absl::StatusCode::kPermissionDenied, field,
                       who + " is writable by " + (others ? "others" : "its group") + allowed);
  }
  return absl::OkStatus();
}

bool is_same_file(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

absl::Status exchanged(const std::string& field, const std::string& path) {
  return field_error(absl::StatusCode::kAborted, field,
                     quoted(path) + " was exchanged while it was looked at; try again");
}

// Each component of `relative` below `root_fd`, a path without symbolic links that led to `found`.
// ABORTED where it leads elsewhere now.
absl::Status check_writers(const std::string& field, int root_fd, const std::string& relative,
                           const struct stat& found) {
  UniqueFd held;
  int parent = root_fd;
  struct stat info {};
  for (size_t begin = 0; begin < relative.size();) {
    const size_t end = std::min(relative.find('/', begin), relative.size());
    UniqueFd next(openat(parent, relative.substr(begin, end - begin).c_str(),
                         O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid() || fstat(next.get(), &info) != 0) return exchanged(field, relative);
    const std::string component = relative.substr(0, end);
    if (S_ISLNK(info.st_mode)) return exchanged(field, component);
    if (auto status = check_writer(field, quoted(component), info); !status.ok()) return status;
    held = std::move(next);
    parent = held.get();
    begin = end + 1;
  }
  return is_same_file(info, found) ? absl::OkStatus() : exchanged(field, relative);
}

bool begins_with_interpreter(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  std::array<char, 2> begin{};
  return file.valid() && read(file.get(), begin.data(), begin.size()) == 2 && begin[0] == '#' &&
         begin[1] == '!';
}

}  // namespace

struct ScriptFolder::Found {
  std::string path;  // absolute
  struct stat info;
  bool executable = false;
};

ScriptFolder::ScriptFolder(std::string folder)
    : folder_(std::move(folder)), had_content_(has_content(folder_)) {}

absl::Status ScriptFolder::not_opened(const std::string& field, const std::string& path,
                                      int error) const {
  switch (error) {
    case EXDEV:
      return invalid_field(field, quoted(path) + " leads outside the scripts folder");
    case ENOENT:
    case ENOTDIR: {
      const std::string what =
          quoted(path) + " does not exist below the scripts folder, " + folder_;
      if (!had_content_ || has_content(folder_)) return invalid_field(field, what);
      return by_workers_fault(
          invalid_field(field, what + ", which is empty and was not: is it mounted?"));
    }
    case ELOOP:
      return invalid_field(field, quoted(path) + " is a loop of symbolic links");
    case EACCES:
    case ENAMETOOLONG:
      return invalid_field(field, quoted(path) + " cannot be opened: " + std::strerror(error));
    default:  // the disk, the network behind it, too many open files
      return by_workers_fault(
          invalid_field(field, quoted(path) + " cannot be opened: " + std::strerror(error)));
  }
}

absl::Status ScriptFolder::check_folder(const std::string& field, int root_fd) const {
  struct stat info {};
  if (fstat(root_fd, &info) != 0) return not_opened(field, folder_, errno);
  return check_writer(field, "the scripts folder " + folder_, info);
}

absl::Status ScriptFolder::check() const {
  constexpr char kField[] = "jobs.scripts_dir";
  const UniqueFd root(open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root.valid()) return check_folder(kField, root.get());
  return field_error(absl::StatusCode::kFailedPrecondition, kField,
                     folder_ + " cannot be opened: " + std::strerror(errno));
}

absl::StatusOr<ScriptFolder::Found> ScriptFolder::find(const std::string& field,
                                                       const std::string& path) const {
  auto found = find_once(field, path);
  // A file that is replaced in order may be looked at just then.
  for (int tries = 1; tries < kTriesWhenExchanged && absl::IsAborted(found.status()); ++tries) {
    found = find_once(field, path);
  }
  return found;
}

absl::StatusOr<ScriptFolder::Found> ScriptFolder::find_once(const std::string& field,
                                                            const std::string& path) const {
  const UniqueFd root(open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) {
    return by_workers_fault(invalid_field(
        field, "the scripts folder " + folder_ + " cannot be opened: " + std::strerror(errno)));
  }
  auto status = check_folder(field, root.get());
  if (!status.ok()) return by_workers_fault(std::move(status));
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const UniqueFd file(
      static_cast<int>(syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
  if (!file.valid()) return not_opened(field, path, errno);

  const auto root_path = real_path(root.get());
  if (!root_path.ok()) return root_path.status();
  auto file_path = real_path(file.get());
  if (!file_path.ok()) return file_path.status();
  Found found{*std::move(file_path), {}, false};
  if (fstat(file.get(), &found.info) != 0) return not_opened(field, path, errno);
  const std::string prefix = *root_path == "/" ? "/" : *root_path + "/";
  if (found.path != *root_path) {
    had_content_ = true;
    if (found.path.rfind(prefix, 0) != 0) return exchanged(field, path);  // moved away just now
    status = check_writers(field, root.get(), found.path.substr(prefix.size()), found.info);
    if (!status.ok()) return status;
  }
  found.executable = faccessat(AT_FDCWD, found.path.c_str(), X_OK, AT_EACCESS) == 0;
  return found;
}

absl::StatusOr<ResolvedScript> ScriptFolder::find_script(const std::string& path) const {
  const auto found = find("path", path);
  if (!found.ok()) return found.status();
  if (!S_ISREG(found->info.st_mode)) {
    return invalid_field("path", quoted(path) + " is not a regular file");
  }
  return ResolvedScript{found->path, found->executable, begins_with_interpreter(found->path)};
}

absl::StatusOr<std::string> ScriptFolder::find_input(const std::string& path) const {
  const auto found = find("stdin_file", path);
  if (!found.ok()) return found.status();
  if (!S_ISREG(found->info.st_mode)) {
    return invalid_field("stdin_file", quoted(path) + " is not a regular file");
  }
  return found->path;
}

absl::StatusOr<std::string> ScriptFolder::find_working_folder(const std::string& path) const {
  const auto found = find("cwd", path.empty() ? "." : path);
  if (!found.ok()) return found.status();
  if (!S_ISDIR(found->info.st_mode)) {
    return invalid_field("cwd", quoted(path) + " is not a folder");
  }
  return found->path;
}

absl::StatusOr<v1::ListWorkerScriptsResponse> ScriptFolder::list(
    const v1::ListWorkerScriptsRequest& request,
    const std::function<bool(const std::string& path)>& is_allowed) const {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<std::string> paths;
  fs::recursive_directory_iterator entry(folder_, fs::directory_options::skip_permission_denied,
                                         error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const bool hidden = entry->path().filename().native().starts_with('.');
    if (hidden || entry.depth() >= kMaxListDepth) entry.disable_recursion_pending();
    std::error_code ignored;
    if (hidden || !entry->is_regular_file(ignored)) continue;
    std::string path = entry->path().lexically_relative(folder_).native();
    if (path <= request.page_token() || !is_valid_utf8(path) || !is_allowed(path)) continue;
    paths.push_back(std::move(path));
    if (paths.size() >= kMaxListed) break;
  }
  if (error) return absl::UnavailableError("reading " + folder_ + ": " + error.message());
  std::sort(paths.begin(), paths.end());

  const uint32_t size =
      request.page_size() == 0 ? kMaxPage : std::min(request.page_size(), kMaxPage);
  v1::ListWorkerScriptsResponse response;
  for (const std::string& path : paths) {
    const auto found = find("path", path);
    if (!found.ok() || !S_ISREG(found->info.st_mode)) continue;
    if (response.scripts_size() == static_cast<int>(size)) {
      response.set_next_page_token(response.scripts(response.scripts_size() - 1).path());
      break;
    }
    v1::Script& script = *response.add_scripts();
    script.set_path(path);
    script.set_size_bytes(static_cast<uint64_t>(found->info.st_size));
    script.mutable_modify_time()->set_seconds(found->info.st_mtim.tv_sec);
    script.mutable_modify_time()->set_nanos(static_cast<int32_t>(found->info.st_mtim.tv_nsec));
    script.set_executable(found->executable);
  }
  return response;
}

}  // namespace clusterd
