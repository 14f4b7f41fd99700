#pragma once

#include <string>

#include "clusterd/v1/job.pb.h"

namespace clusterd {

// Where an attempt has its scratch folder below the worker's `scratch_dir`: `run/<job>.<attempt>`,
// which goes with the attempt, or `kept/<job>.<attempt>`, which goes with its output.
[[nodiscard]] std::string scratch_folder(const std::string& scratch_dir, const v1::AttemptKey& key,
                                         bool keep);

// The folders in which those lie.
[[nodiscard]] std::string passing_scratch(const std::string& scratch_dir);
[[nodiscard]] std::string kept_scratch(const std::string& scratch_dir);

}  // namespace clusterd
