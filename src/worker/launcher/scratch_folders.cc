#include "worker/launcher/scratch_folders.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/log.h"
#include "worker/launcher/child_setting.h"
#include "worker/remove_tree.h"

namespace clusterd {
namespace {

constexpr std::chrono::seconds kClosesWithin(1);
constexpr char kRemoved[] = ".removed-";

absl::Status errno_status(const std::string& path) {
  const std::string text = absl::StrCat("scratch folder ", path, ": ", std::strerror(errno));
  const bool is_full = errno == ENOSPC || errno == EDQUOT;
  return is_full ? absl::ResourceExhaustedError(text) : absl::UnavailableError(text);
}

std::vector<std::string> entries_of(const std::string& folder) {
  std::vector<std::string> names;
  const auto close = [](DIR* open) { (void)::closedir(open); };
  const std::unique_ptr<DIR, decltype(close)> open(::opendir(folder.c_str()), close);
  if (open == nullptr) return names;
  while (const dirent* entry = ::readdir(open.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

}  // namespace

ScratchFolders::ScratchFolders() : thread_([this] { work(); }) {
  pthread_setname_np(thread_.native_handle(), "scratch");
}

ScratchFolders::~ScratchFolders() {
  {
    std::unique_lock lock(mutex_);
    closing_ = true;
    changed_.notify_all();
    (void)changed_.wait_for(lock, kClosesWithin, [this] { return done_; });
  }
  stop_ = true;
  thread_.join();
}

absl::Status ScratchFolders::make(const internal::LaunchPlan& plan) {
  const std::string& path = plan.scratch_folder();
  if (path.empty()) return absl::OkStatus();
  hold(path);
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno != EEXIST) return errno_status(path);
    // Of a start that came to nothing with the launcher that tried it.
    const std::string old = move_away(path);
    if (!old.empty()) push({old});
    if (::mkdir(path.c_str(), 0700) != 0) return errno_status(path);
  }
  return give_to_user(path, plan);
}

void ScratchFolders::hold(const std::string& path) {
  const std::lock_guard lock(names_mutex_);
  held_.insert(path);
}

bool ScratchFolders::is_being_removed(std::string_view name) { return name.starts_with(kRemoved); }

void ScratchFolders::remove(std::string path) { push({std::move(path)}); }

void ScratchFolders::sweep(std::string folder) { push({std::move(folder), true}); }

void ScratchFolders::push(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_all();
}

void ScratchFolders::work() {
  while (!stop_) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return closing_ || !tasks_.empty(); });
      if (tasks_.empty()) {
        done_ = true;
        changed_.notify_all();
        return;
      }
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    if (task.is_sweep) {
      sweep_now(task.path);
    } else {
      remove_now(task.path);
    }
  }
}

std::string ScratchFolders::move_away(const std::string& path) {
  timespec now{};
  (void)::clock_gettime(CLOCK_REALTIME, &now);
  std::string other = absl::StrCat(path.substr(0, path.rfind('/') + 1), kRemoved, ::getpid(), "-",
                                   now.tv_sec, "-", now.tv_nsec, "-", ++moved_);
  return ::rename(path.c_str(), other.c_str()) == 0 ? other : "";
}

void ScratchFolders::remove_now(const std::string& path) {
  std::string other;
  {
    const std::lock_guard lock(names_mutex_);
    held_.erase(path);
    if (::rmdir(path.c_str()) == 0) return;
    other = move_away(path);
  }
  const absl::Status status = remove_tree(other.empty() ? path : other, stop_);
  if (status.ok() || absl::IsCancelled(status)) return;
  log_warning("launcher", "a scratch folder cannot be removed", {{"error", status}});
}

void ScratchFolders::sweep_now(const std::string& folder) {
  for (const std::string& name : entries_of(folder)) {
    const std::string path = absl::StrCat(folder, "/", name);
    std::string other;
    {
      // With the name held from here on, nobody makes it anew while it is moved.
      const std::lock_guard lock(names_mutex_);
      if (held_.contains(path)) continue;
      other = is_being_removed(name) ? path : move_away(path);
    }
    if (stop_) return;
    if (!other.empty()) remove_now(other);
  }
}

}  // namespace clusterd
