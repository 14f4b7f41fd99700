#include "worker/output_cleaner.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/numbers.h"
#include "core/log.h"
#include "worker/output_log.h"
#include "worker/scratch_paths.h"

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

// When something about it last changed: unlike the time of its last write, no job can set it.
WallTime last_touched(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return WallTime::min();
  return WallTime(std::chrono::seconds(info.st_ctim.tv_sec) +
                  std::chrono::nanoseconds(info.st_ctim.tv_nsec));
}

WallTime newest_change(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return WallTime::min();
  WallTime newest = changed_at(folder);
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    newest = std::max(newest, changed_at(entry.path()));
  }
  return newest;
}

}  // namespace

OutputCleaner::OutputCleaner(std::string data_dir, std::string scratch_dir,
                             std::chrono::nanoseconds max_age, EventLoop& core, EventLoop& files,
                             std::function<bool(const v1::AttemptKey&)> in_use)
    : data_dir_(std::move(data_dir)),
      scratch_dir_(std::move(scratch_dir)),
      max_age_(max_age),
      core_(core),
      files_(files),
      in_use_(std::move(in_use)) {}

OutputCleaner::KeptScratch OutputCleaner::find_kept_scratch() {
  KeptScratch kept;
  if (scratch_dir_.empty()) return kept;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kept_scratch(scratch_dir_), error)) {
    const std::string name = entry.path().filename().native();
    if (ScratchFolders::is_being_removed(name)) scratch_.remove(entry.path().native());
    const size_t dot = name.rfind('.');
    uint32_t number = 0;
    if (dot == std::string::npos || !absl::SimpleAtoi(name.substr(dot + 1), &number)) continue;
    kept[name.substr(0, dot)].insert(number);
  }
  return kept;
}

std::vector<v1::AttemptKey> OutputCleaner::attempts_of(const std::string& job_id,
                                                       const KeptScratch& kept) const {
  std::set<uint32_t> numbers;
  if (const auto found = kept.find(job_id); found != kept.end()) numbers = found->second;
  std::error_code error;
  for (const auto& attempt :
       fs::directory_iterator(data_dir_ + kOutputFolder + "/" + job_id, error)) {
    uint32_t number = 0;
    if (absl::SimpleAtoi(attempt.path().filename().native(), &number)) numbers.insert(number);
  }
  std::vector<v1::AttemptKey> attempts;
  for (const uint32_t number : numbers) {
    v1::AttemptKey key;
    key.set_job_id(job_id);
    key.set_attempt(number);
    attempts.push_back(std::move(key));
  }
  return attempts;
}

std::vector<v1::AttemptKey> OutputCleaner::find_old(WallTime now) {
  const KeptScratch kept = find_kept_scratch();
  std::set<std::string> job_ids;
  for (const auto& [job_id, numbers] : kept) job_ids.insert(job_id);
  std::error_code error;
  for (const auto& job : fs::directory_iterator(data_dir_ + kOutputFolder, error)) {
    job_ids.insert(job.path().filename().native());
  }
  std::vector<v1::AttemptKey> old;
  for (const std::string& job_id : job_ids) {
    for (v1::AttemptKey& key : attempts_of(job_id, kept)) {
      const WallTime changed = std::max(newest_change(output_folder(data_dir_, key)),
                                        last_touched(scratch_folder(scratch_dir_, key, true)));
      if (changed <= now - max_age_) old.push_back(std::move(key));
    }
  }
  return old;
}

bool OutputCleaner::erase(const v1::AttemptKey& key) {
  const fs::path folder = output_folder(data_dir_, key);
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) {
    log_warning("worker", "output cannot be deleted",
                {{"job_id", key.job_id()},
                 {"attempt", key.attempt()},
                 {"folder", folder.native()},
                 {"error", error.message()}});
    return false;
  }
  fs::remove(folder.parent_path(), error);  // fails while another attempt is there
  if (scratch_dir_.empty()) return true;
  std::string kept = scratch_folder(scratch_dir_, key, true);
  if (last_touched(kept) != WallTime::min()) scratch_.remove(std::move(kept));
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
    const KeptScratch kept = find_kept_scratch();
    std::vector<JobOutput> found;
    for (std::string& job_id : job_ids) {
      found.push_back({.job_id = job_id, .attempts = attempts_of(job_id, kept)});
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
