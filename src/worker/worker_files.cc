#include "worker/worker_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>

#include "core/clock.h"

namespace clusterd {
namespace {

constexpr char kIdentityFile[] = "/identity.pb";
constexpr char kLockFile[] = "/worker.lock";
constexpr char kStateFile[] = "/worker.state";
constexpr char kEndFile[] = "/end.pb";

absl::Status write_all(int fd, const std::string& content, const std::string& path) {
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t count = write(fd, content.data() + done, content.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, "writing " + path);
    done += static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

// Readers see the file before or the file after, also after a power loss where `durable`.
absl::Status replace_file(const std::string& path, const std::string& content, bool durable) {
  const std::string fresh = path + ".new";
  UniqueFd file(open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return absl::ErrnoToStatus(errno, "making " + fresh);
  if (auto status = write_all(file.get(), content, fresh); !status.ok()) return status;
  if (durable && fdatasync(file.get()) != 0) return absl::ErrnoToStatus(errno, "syncing " + fresh);
  if (rename(fresh.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, "renaming " + fresh);
  }
  if (!durable) return absl::OkStatus();
  const std::string folder = path.substr(0, path.rfind('/'));
  const UniqueFd parent(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid() || fsync(parent.get()) != 0) {
    return absl::ErrnoToStatus(errno, "syncing " + folder);
  }
  return absl::OkStatus();
}

// nullopt where there is no such file.
template <typename Message>
absl::StatusOr<std::optional<Message>> read_message(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    return absl::ErrnoToStatus(errno, "opening " + path);
  }
  Message message;
  if (!message.ParseFromFileDescriptor(file.get())) {
    return absl::DataLossError(path + " is damaged");
  }
  return message;
}

}  // namespace

absl::Status make_folder(const std::string& path) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      return absl::ErrnoToStatus(errno, "making the folder " + part);
    }
    if (end == std::string::npos) break;
  }
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(path + " is not a folder");
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> lock_data_dir(const std::string& data_dir) {
  const std::string path = data_dir + kLockFile;
  UniqueFd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return absl::ErrnoToStatus(errno, "opening " + path);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return absl::ErrnoToStatus(errno, "locking " + path);
    return absl::FailedPreconditionError("data_dir " + data_dir +
                                         " is in use by another worker process");
  }
  return lock;
}

bool is_lock_of(const UniqueFd& lock, const std::string& data_dir) {
  struct stat held {};
  struct stat named {};
  return fstat(lock.get(), &held) == 0 && stat((data_dir + kLockFile).c_str(), &named) == 0 &&
         held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

absl::Status write_state(const std::string& data_dir, const std::string& error) {
  std::ostringstream text;  // "pid serial", then the error
  text << getpid() << ' ' << SystemClock().now().boot.time_since_epoch().count() << '\n' << error;
  return replace_file(data_dir + kStateFile, text.str(), /*durable=*/false);
}

absl::StatusOr<WorkerState> read_state(const std::string& data_dir) {
  const std::string path = data_dir + kStateFile;
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(path + ": no worker has started there");
  WorkerState state;
  file >> state.pid >> state.serial;
  if (!file || state.pid <= 0) return absl::DataLossError(path + " is damaged");
  file.get();
  state.error.assign(std::istreambuf_iterator<char>(file), {});
  return state;
}

absl::StatusOr<v1::RegisterWorkerResponse> read_identity(const std::string& data_dir) {
  auto identity = read_message<v1::RegisterWorkerResponse>(data_dir + kIdentityFile);
  if (!identity.ok()) return identity.status();
  return identity->value_or(v1::RegisterWorkerResponse());
}

absl::Status write_identity(const std::string& data_dir,
                            const v1::RegisterWorkerResponse& identity) {
  return replace_file(data_dir + kIdentityFile, identity.SerializeAsString(), /*durable=*/true);
}

absl::Status write_end(const std::string& folder, const v1::HeldAttempt& attempt) {
  return replace_file(folder + kEndFile, attempt.SerializeAsString(), /*durable=*/false);
}

absl::StatusOr<std::optional<v1::HeldAttempt>> read_end(const std::string& folder) {
  auto end = read_message<v1::HeldAttempt>(folder + kEndFile);
  // It is not synced, so a power loss may leave it empty, which parses as a message of nothing.
  if (end.ok() && *end && !(*end)->has_key()) {
    return absl::DataLossError(folder + kEndFile + " is damaged");
  }
  return end;
}

}  // namespace clusterd
