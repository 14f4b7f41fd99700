#include "worker/scratch_paths.h"

#include "absl/strings/str_cat.h"

namespace clusterd {

std::string passing_scratch(const std::string& scratch_dir) { return scratch_dir + "/run"; }

std::string kept_scratch(const std::string& scratch_dir) { return scratch_dir + "/kept"; }

std::string scratch_folder(const std::string& scratch_dir, const v1::AttemptKey& key, bool keep) {
  return absl::StrCat(keep ? kept_scratch(scratch_dir) : passing_scratch(scratch_dir), "/",
                      key.job_id(), ".", key.attempt());
}

}  // namespace clusterd
