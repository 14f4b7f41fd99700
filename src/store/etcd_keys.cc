#include "store/etcd_keys.h"

#include <charconv>

#include "absl/strings/str_format.h"
#include "clusterd/job_tasks.h"

namespace clusterd {

std::string EtcdKeys::job(std::string_view job_id) const {
  const auto parts = split_task_id(job_id);
  return parts ? task(parts->first, parts->second) : jobs() + std::string(job_id);
}

std::string EtcdKeys::tasks_of(std::string_view array_id) const {
  return tasks() + std::string(array_id) + "/";
}

std::string EtcdKeys::task(std::string_view array_id, uint32_t index) const {
  return tasks_of(array_id) + absl::StrFormat("%08x", index);
}

std::string EtcdKeys::event(uint64_t seq) const { return events() + absl::StrFormat("%016x", seq); }

std::string EtcdKeys::doomed_on(std::string_view worker_id) const {
  return doomed() + std::string(worker_id) + "/";
}

std::string EtcdKeys::doomed(std::string_view worker_id, std::string_view job_id) const {
  return doomed_on(worker_id) + std::string(job_id);
}

std::string EtcdKeys::staged_part(size_t number) const {
  return staged_parts() + absl::StrFormat("%08x", number);
}

std::optional<std::string> EtcdKeys::task_id_in(std::string_view key) const {
  key.remove_prefix(tasks().size());
  const size_t slash = key.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view digits = key.substr(slash + 1);
  uint32_t index = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), index, 16);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) return std::nullopt;
  return task_id(key.substr(0, slash), index);
}

}  // namespace clusterd
