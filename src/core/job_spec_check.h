#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "clusterd/v1/job.pb.h"
#include "core/config.h"

namespace clusterd {

// Bounds of a JobSpec. Sizes in bytes.
inline constexpr uint64_t kMaxJobNameBytes = 256;
inline constexpr uint64_t kMaxPathBytes = 4095;
inline constexpr uint64_t kMaxArgsBytes = 128ULL << 10;  // all together, a NUL each
inline constexpr uint64_t kMaxEnvBytes = 128ULL << 10;   // all together, names included
inline constexpr uint64_t kMaxStdinBytes = 64ULL << 10;
inline constexpr uint64_t kMaxScriptBytes = 4ULL << 20;  // where max_upload is that large
inline constexpr uint64_t kMaxLabelsBytes = 64ULL << 10;
inline constexpr int kMaxDependencies = 1000;
inline constexpr int32_t kMaxPriority = 1000;
inline constexpr uint64_t kMaxArrayTasks = 1'000'000;

// Where a job's script may lie.
enum class ScriptPlace {
  kBelowScriptsDir,
  kAnywhere,  // some worker of another protocol has no scripts folder
};

// Everything about a spec that can be judged without a worker: sizes, NUL bytes, names, signals,
// durations, ranges. INVALID_ARGUMENT about the first field at fault, naming the value and what
// is allowed. The scheduler asks at submit, the worker again at start.
[[nodiscard]] absl::Status check_job_spec(const v1::JobSpec& spec,
                                          ScriptPlace place = ScriptPlace::kBelowScriptsDir);

// What a scheduler bounds further. INVALID_ARGUMENT names field, size and key.
[[nodiscard]] absl::Status check_job_sizes(const v1::JobSpec& spec,
                                           const SchedulerConfig::Scheduling& bounds);

// What a store in etcd takes of a job's spec, as it is serialised.
inline constexpr size_t kMaxSpecBytesInEtcd = 64U << 10;
// INVALID_ARGUMENT names `spec`: it is larger than this store takes.
[[nodiscard]] absl::Status check_record_size(const v1::JobSpec& spec,
                                             const SchedulerConfig::Store& store);

// A path relative to some folder, without "..". Symbolic links are not looked at.
[[nodiscard]] absl::Status check_relative_path(std::string_view field, std::string_view path);

}  // namespace clusterd
