#include "worker/task_key.h"

#include <charconv>

namespace clusterd {
namespace {

constexpr size_t kMaxJobIdBytes = 128;
constexpr std::string_view kPlain =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-";
constexpr std::string_view kHex = "0123456789ABCDEF";
constexpr size_t kEscapeBytes = 3;  // "_XX"

}  // namespace

absl::StatusOr<std::string> job_id_of_task(std::string_view task_id) {
  if (task_id.empty()) return absl::InvalidArgumentError("an empty id");
  std::string job_id;
  for (const char c : task_id) {
    if (kPlain.find(c) != std::string_view::npos && (c != '.' || !job_id.empty())) {
      job_id += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    job_id += '_';
    job_id += kHex[byte / kHex.size()];
    job_id += kHex[byte % kHex.size()];
  }
  if (job_id.size() <= kMaxJobIdBytes) return job_id;
  return absl::InvalidArgumentError("the id is too long: written as a file name it has " +
                                    std::to_string(job_id.size()) + " bytes, at most " +
                                    std::to_string(kMaxJobIdBytes) + " are allowed");
}

absl::StatusOr<std::string> task_of_job_id(std::string_view job_id) {
  const absl::Status not_ours =
      absl::InvalidArgumentError("\"" + std::string(job_id) + "\" is no task's");
  std::string task_id;
  while (!job_id.empty()) {
    if (job_id.front() != '_') {
      task_id += job_id.front();
      job_id.remove_prefix(1);
      continue;
    }
    unsigned byte = 0;
    if (job_id.size() < kEscapeBytes) return not_ours;
    const char* const end = job_id.data() + kEscapeBytes;
    const auto result = std::from_chars(job_id.data() + 1, end, byte, 16);
    if (result.ec != std::errc() || result.ptr != end) return not_ours;
    task_id += static_cast<char>(byte);
    job_id.remove_prefix(kEscapeBytes);
  }
  return task_id;
}

}  // namespace clusterd
