#include "worker/worker_folders.h"

#include <filesystem>
#include <utility>

#include "worker/job_readiness.h"
#include "worker/launcher_connection.h"
#include "worker/worker_files.h"

namespace clusterd {

absl::StatusOr<WorkerConfig::Jobs> prepare_folders(WorkerConfig::Jobs jobs) {
  for (std::string* path : {&jobs.data_dir, &jobs.scripts_dir, &jobs.scratch_dir, &jobs.digests}) {
    if (path->empty()) continue;
    std::error_code error;
    *path = std::filesystem::absolute(*path, error).lexically_normal().native();
    if (error) return absl::InternalError("the current folder: " + error.message());
    while (path->size() > 1 && path->back() == '/') path->pop_back();
  }
  for (const std::string& folder : {jobs.data_dir, jobs.scripts_dir}) {
    if (auto status = make_folder(folder); !status.ok()) return status;
  }
  auto runtime_dir = choose_runtime_dir(jobs.runtime_dir, jobs.data_dir);
  if (!runtime_dir.ok()) return runtime_dir.status();
  jobs.runtime_dir = *std::move(runtime_dir);
  auto scratch_dir = prepare_scratch_dir(jobs);
  if (!scratch_dir.ok()) return scratch_dir.status();
  jobs.scratch_dir = *std::move(scratch_dir);
  return jobs;
}

}  // namespace clusterd
