#include "clusterd/job_tasks.h"

#include <charconv>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"

namespace clusterd {
namespace {

uint32_t step_of(const v1::ArraySpec& array) { return array.step() == 0 ? 1 : array.step(); }

}  // namespace

std::optional<std::pair<std::string, uint32_t>> split_task_id(std::string_view job_id) {
  const size_t dot = job_id.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  const std::string_view digits = job_id.substr(dot + 1);
  const bool canonical = !digits.empty() && (digits == "0" || digits.front() != '0');
  uint32_t index = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (!canonical || parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return std::pair{std::string(job_id.substr(0, dot)), index};
}

std::string task_id(std::string_view job_id, uint32_t index) {
  return absl::StrCat(absl::string_view(job_id.data(), job_id.size()), ".", index);
}

bool has_tasks(const v1::Job& job) {
  return job.spec().has_array() || job.spec().resources().every_worker();
}

uint32_t task_count(const v1::ArraySpec& array) {
  return (array.to() - array.from()) / step_of(array) + 1;
}

std::optional<uint32_t> task_position(const v1::ArraySpec& array, uint32_t index) {
  const bool inside = index >= array.from() && index <= array.to();
  if (!inside || (index - array.from()) % step_of(array) != 0) return std::nullopt;
  return (index - array.from()) / step_of(array);
}

uint32_t task_index(const v1::ArraySpec& array, uint32_t position) {
  return array.from() + position * step_of(array);
}

v1::Job::State unstarted_state(const v1::Job& array) {
  return array.has_unstarted_end() ? state_of(array.unstarted_end()) : v1::Job::QUEUED;
}

v1::Job unstarted_task(const v1::Job& array, uint32_t index) {
  v1::Job task;
  task.set_job_id(task_id(array.job_id(), index));
  task.set_seq(array.seq());
  v1::JobSpec& spec = *task.mutable_spec();
  spec = array.spec();
  spec.clear_array();
  spec.clear_after();
  spec.clear_start_at();
  spec.clear_start_delay();
  if (spec.has_resources()) spec.mutable_resources()->clear_every_worker();
  if (spec.has_script()) spec.mutable_script()->clear_content();
  task.set_state(unstarted_state(array));
  task.set_worker_id(array.worker_id());
  *task.mutable_submit_time() = array.submit_time();
  task.set_submitted_by(array.submitted_by());
  task.set_trace_parent(array.trace_parent());
  if (!array.has_unstarted_end()) {
    task.set_pending_reason(array.pending_reason());
    return task;
  }
  *task.mutable_end() = array.unstarted_end();
  if (array.has_stop_requested()) {
    *task.mutable_stop_requested() = array.stop_requested();
    *task.mutable_end_time() = array.stop_requested().when();
  } else {
    *task.mutable_end_time() = array.end_time();
  }
  return task;
}

}  // namespace clusterd
