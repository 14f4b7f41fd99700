#include "worker/output_sweep.h"

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

std::vector<v1::AttemptKey> find_old_output(const std::string& data_dir,
                                            std::chrono::nanoseconds max_age, WallTime now) {
  std::vector<v1::AttemptKey> old;
  std::error_code error;
  for (const auto& job : fs::directory_iterator(data_dir + kOutputFolder, error)) {
    for (const auto& attempt : fs::directory_iterator(job.path(), error)) {
      v1::AttemptKey key;
      uint32_t number = 0;
      if (!absl::SimpleAtoi(attempt.path().filename().native(), &number)) continue;
      if (newest_change(attempt.path()) > now - max_age) continue;
      key.set_job_id(job.path().filename().native());
      key.set_attempt(number);
      old.push_back(std::move(key));
    }
  }
  return old;
}

void delete_output(const std::string& data_dir, const v1::AttemptKey& key) {
  const fs::path folder = output_folder(data_dir, key);
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) {
    log_warning("worker", "old output cannot be deleted",
                {{"folder", folder.native()}, {"error", error.message()}});
  }
  fs::remove(folder.parent_path(), error);  // fails while another attempt is there
}

}  // namespace clusterd
