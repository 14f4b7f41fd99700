#include "worker/uploaded_scripts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/sha256.h"
#include "core/worker_fault.h"
#include "worker/trusted_file.h"
#include "worker/unique_fd.h"
#include "worker/worker_files.h"

namespace clusterd {
namespace {

namespace fs = std::filesystem;

constexpr char kField[] = "script";
constexpr mode_t kMode = 0500;
constexpr size_t kMostUnused = 100;  // files beyond it that were not used lately are removed
constexpr size_t kMost = 1'000;
constexpr std::chrono::minutes kInUse(10);  // from a check to the start, and some more

absl::Status at_fault(absl::StatusCode code, const std::string& what) {
  absl::Status status = field_error(code, kField, what);
  return code == absl::StatusCode::kUnavailable ? by_workers_fault(std::move(status)) : status;
}

absl::Status not_written(const std::string& path) {
  return at_fault(absl::StatusCode::kUnavailable,
                  absl::StrCat(path, " cannot be written: ", std::strerror(errno)));
}

// The file is there, whole, and nobody else's; then it counts as used now.
bool is_kept(const std::string& path, const std::string& digest) {
  const auto file = open_trusted_file(path);
  if (!file.ok()) return false;
  const auto found = sha256_of_file(file->get(), path);
  return found.ok() && *found == digest && ::futimens(file->get(), nullptr) == 0;
}

}  // namespace

absl::StatusOr<UploadedScripts::Kept> UploadedScripts::keep(const v1::ScriptContent& script) const {
  const std::string& content = script.content();
  Kept kept{.sha256 = sha256(content),
            .has_interpreter = content.starts_with("#!"),
            .is_binary = content.starts_with("\x7f"
                                             "ELF")};
  if (auto status = make_folder(folder_); !status.ok()) {
    return at_fault(absl::StatusCode::kUnavailable, std::string(status.message()));
  }
  std::error_code error;
  const fs::path folder = fs::canonical(folder_, error);  // what runs is reached by no link
  if (error) return at_fault(absl::StatusCode::kUnavailable, folder_ + ": " + error.message());
  kept.path = folder / absl::BytesToHexString(kept.sha256);
  if (is_kept(kept.path, kept.sha256)) return kept;
  if (auto status = make_room(); !status.ok()) return status;
  if (auto status = write(kept.path, content); !status.ok()) return status;
  return kept;
}

absl::Status UploadedScripts::write(const std::string& path, const std::string& content) const {
  const std::string fresh = path + ".new";
  (void)::unlink(fresh.c_str());  // of a worker that was killed while it wrote
  const UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode));
  if (!file.valid()) return not_written(fresh);
  for (size_t done = 0; done < content.size();) {
    const ssize_t count = ::write(file.get(), content.data() + done, content.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return not_written(fresh);
    done += static_cast<size_t>(count);
  }
  if (::fchmod(file.get(), kMode) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
    return not_written(path);
  }
  return absl::OkStatus();
}

absl::Status UploadedScripts::make_room() const {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder_, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    std::error_code ignored;
    files.emplace_back(entry->last_write_time(ignored), entry->path());
  }
  if (files.size() < kMostUnused) return absl::OkStatus();
  std::sort(files.begin(), files.end());
  const auto unused = fs::file_time_type::clock::now() - kInUse;
  size_t left = files.size();
  for (const auto& [used, path] : files) {
    if (left < kMostUnused || used >= unused) break;
    std::error_code ignored;
    if (fs::remove(path, ignored)) --left;
  }
  if (left < kMost) return absl::OkStatus();
  return at_fault(absl::StatusCode::kResourceExhausted,
                  absl::StrCat("more than ", kMost, " different ones came within ten minutes"));
}

}  // namespace clusterd
