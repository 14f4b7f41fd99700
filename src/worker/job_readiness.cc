#include "worker/job_readiness.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "worker/data_dir_name.h"
#include "worker/job_user.h"
#include "worker/scratch_paths.h"
#include "worker/script_digests.h"
#include "worker/script_folder.h"

namespace clusterd {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kPassable = S_IXGRP | S_IXOTH;

// A folder above the scripts folder in which others may put another in its place; empty: none.
std::string exchangeable_parent(const std::string& folder) {
  std::error_code error;
  for (fs::path path = fs::canonical(folder, error).parent_path(); !path.empty();
       path = path.parent_path()) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return "";
    const bool is_ours = info.st_uid == 0 || info.st_uid == ::geteuid();
    const bool is_shared = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    const bool is_sticky = (info.st_mode & S_ISVTX) != 0;
    if (!is_ours || (is_shared && !is_sticky)) return path.native();
    if (path == path.root_path()) break;
  }
  return "";
}

std::string real_path_of(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return error ? path : real.native();
}

// The first folder on the way to `path` that other users may not pass; empty: they may.
std::string impassable_parent(const std::string& path) {
  for (fs::path folder = fs::path(path);; folder = folder.parent_path()) {
    struct stat info {};
    if (::stat(folder.c_str(), &info) == 0 && (info.st_mode & S_IXOTH) == 0) {
      return folder.native();
    }
    if (folder == folder.root_path() || folder.empty()) return "";
  }
}

std::string same_user_warning() {
  const std::string who = ::geteuid() == 0
                              ? "root, the worker's own user"
                              : absl::StrCat("the worker's own user (", ::geteuid(), ")");
  return absl::StrCat("jobs run as ", who,
                      ": they can read its keys and change its data; set jobs.run_as");
}

absl::Status make_own_folder(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::PermissionDeniedError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != ::geteuid()) {
    return absl::PermissionDeniedError(
        absl::StrCat("jobs.scratch_dir: ", path, " must be a folder of the worker's user"));
  }
  if ((info.st_mode & 0777) == mode || ::chmod(path.c_str(), mode) == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(path, ": ", std::strerror(errno)));
}

}  // namespace

JobReadiness check_job_readiness(const WorkerConfig::Jobs& jobs) {
  JobReadiness readiness;
  const auto add = [&readiness](const absl::Status& status) {
    if (!status.ok()) readiness.problems.push_back(status);
  };
  add(ScriptFolder(jobs.scripts_dir).check());
  add(ScriptDigests(jobs.digests, jobs.scripts_dir).check());
  const JobUsers users(jobs.run_as, jobs.allowed_users);
  for (const absl::Status& problem : users.problems()) add(problem);
  if (users.is_same_user_by_default()) readiness.warnings.push_back(same_user_warning());
  if (const std::string parent = exchangeable_parent(jobs.scripts_dir); !parent.empty()) {
    readiness.warnings.push_back(absl::StrCat("the scripts folder ", jobs.scripts_dir,
                                              " can be exchanged by others, who may write ",
                                              parent));
  }
  const std::string barrier =
      users.may_switch() && !jobs.scratch_dir.empty() ? impassable_parent(jobs.scratch_dir) : "";
  if (!barrier.empty()) {
    readiness.warnings.push_back(absl::StrCat(
        "jobs of other users cannot reach their scratch folders: only its owner may pass ", barrier,
        "; set jobs.scratch_dir"));
  }
  return readiness;
}

absl::StatusOr<std::string> prepare_scratch_dir(const WorkerConfig::Jobs& jobs) {
  const bool for_others = JobUsers(jobs.run_as, jobs.allowed_users).may_switch();
  const mode_t mode = for_others ? 0711 : 0700;
  std::string path = jobs.data_dir + "/scratch";
  if (!jobs.scratch_dir.empty()) {
    if (::mkdir(jobs.scratch_dir.c_str(), mode) != 0 && errno != EEXIST) {
      return absl::InvalidArgumentError(
          absl::StrCat("jobs.scratch_dir: ", jobs.scratch_dir, ": ", std::strerror(errno)));
    }
    path = absl::StrCat(jobs.scratch_dir, "/", data_dir_name(real_path_of(jobs.data_dir)));
  } else if (struct stat info{}; for_others && ::stat(jobs.data_dir.c_str(), &info) == 0) {
    // What is in it is closed to others, each by itself.
    (void)::chmod(jobs.data_dir.c_str(), (info.st_mode & 07777) | kPassable);
  }
  for (const std::string& folder : {path, passing_scratch(path), kept_scratch(path)}) {
    if (auto status = make_own_folder(folder, mode); !status.ok()) return status;
  }
  return path;
}

}  // namespace clusterd
