#include "worker/output_cleaner.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/numbers.h"
#include "core/log.h"
#include "worker/output_log.h"

namespace clusterd {
namespace fs = std::filesystem;
namespace {

constexpr char kOutputFolder[] = "/output";

WallTime changed_at(const fs::path& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return WallTime::max();
  return WallTime(std::chrono::seconds(info.st_mtim.tv_sec) +
                  std::chrono::nanoseconds(info.st_mtim.tv_nsec));
}

WallTime newest_change(const fs::path& folder) {
  WallTime newest = changed_at(folder);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    newest = std::max(newest, changed_at(entry.path()));
  }
  return newest;
}

}  // namespace

OutputCleaner::OutputCleaner(std::string data_dir, std::chrono::nanoseconds max_age,
                             EventLoop& core, EventLoop& files,
                             std::function<bool(const v1::AttemptKey&)> in_use)
    : data_dir_(std::move(data_dir)),
      max_age_(max_age),
      core_(core),
      files_(files),
      in_use_(std::move(in_use)) {}

std::vector<v1::AttemptKey> OutputCleaner::attempts_of(const std::string& job_id) const {
  std::vector<v1::AttemptKey> attempts;
  std::error_code error;
  for (const auto& attempt :
       fs::directory_iterator(data_dir_ + kOutputFolder + "/" + job_id, error)) {
    v1::AttemptKey key;
    uint32_t number = 0;
    if (!absl::SimpleAtoi(attempt.path().filename().native(), &number)) continue;
    key.set_job_id(job_id);
    key.set_attempt(number);
    attempts.push_back(std::move(key));
  }
  return attempts;
}

std::vector<v1::AttemptKey> OutputCleaner::find_old(WallTime now) const {
  std::vector<v1::AttemptKey> old;
  std::error_code error;
  for (const auto& job : fs::directory_iterator(data_dir_ + kOutputFolder, error)) {
    for (v1::AttemptKey& key : attempts_of(job.path().filename().native())) {
      if (newest_change(output_folder(data_dir_, key)) > now - max_age_) continue;
      old.push_back(std::move(key));
    }
  }
  return old;
}

bool OutputCleaner::erase(const v1::AttemptKey& key) const {
  const fs::path folder = output_folder(data_dir_, key);
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) {
    log_warning("worker", "output cannot be deleted",
                {{"folder", folder.native()}, {"error", error.message()}});
    return false;
  }
  fs::remove(folder.parent_path(), error);  // fails while another attempt is there
  return true;
}

void OutputCleaner::sweep(WallTime now) {
  std::vector<v1::AttemptKey> old = find_old(now);
  if (old.empty()) return;
  core_.post([this, old = std::move(old)]() mutable {
    std::erase_if(old, in_use_);
    files_.post([this, old = std::move(old)] {
      for (const v1::AttemptKey& key : old) (void)erase(key);
    });
  });
}

void OutputCleaner::delete_jobs(std::vector<std::string> job_ids,
                                absl::AnyInvocable<void(v1::OutputsDeleted)> deleted) {
  // An id is one folder's name, whatever the scheduler says.
  std::erase_if(job_ids, [](const std::string& id) {
    return id.empty() || id.front() == '.' || id.find('/') != std::string::npos;
  });
  files_.post([this, job_ids = std::move(job_ids), deleted = std::move(deleted)]() mutable {
    std::vector<JobOutput> found;
    for (std::string& job_id : job_ids) {
      found.push_back({.job_id = job_id, .attempts = attempts_of(job_id)});
    }
    core_.post([this, found = std::move(found), deleted = std::move(deleted)]() mutable {
      std::erase_if(found, [this](const JobOutput& job) {
        return std::any_of(job.attempts.begin(), job.attempts.end(), in_use_);
      });
      files_.post([this, found = std::move(found), deleted = std::move(deleted)]() mutable {
        v1::OutputsDeleted answer;
        for (const JobOutput& job : found) {
          const bool gone = std::all_of(job.attempts.begin(), job.attempts.end(),
                                        [this](const v1::AttemptKey& key) { return erase(key); });
          if (gone) answer.add_job_ids(job.job_id);
        }
        if (answer.job_ids().empty()) return;
        core_.post([answer = std::move(answer), deleted = std::move(deleted)]() mutable {
          deleted(std::move(answer));
        });
      });
    });
  });
}

}  // namespace clusterd
