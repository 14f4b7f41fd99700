#include "scheduler/job_selection_check.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/field_error.h"

namespace clusterd {
namespace {

// Those that a call without a word on states is about.
std::vector<v1::Job::State> usual_states(GroupAction action) {
  if (action == GroupAction::kStop) return {v1::Job::QUEUED, v1::Job::STARTING, v1::Job::RUNNING};
  return {v1::Job::FAILED, v1::Job::TIMED_OUT, v1::Job::LOST};
}

absl::Status check_state(v1::Job::State state, GroupAction action) {
  const auto usual = usual_states(action);
  if (std::find(usual.begin(), usual.end(), state) != usual.end()) return absl::OkStatus();
  if (action == GroupAction::kRetry && state == v1::Job::STOPPED) return absl::OkStatus();
  return invalid_field(
      "selection.state",
      absl::StrCat(v1::Job::State_IsValid(state) ? v1::Job::State_Name(state)
                                                 : absl::StrCat(static_cast<int>(state)),
                   action == GroupAction::kStop
                       ? ": jobs are stopped in QUEUED, STARTING and RUNNING"
                       : ": jobs are retried in FAILED, STOPPED, TIMED_OUT and LOST"));
}

}  // namespace

absl::Status check_selection(const v1::JobSelection& selection, GroupAction action) {
  if (selection.name().empty() && selection.label().empty() && selection.queue().empty() &&
      selection.worker_id().empty()) {
    return invalid_field("selection",
                         "selects all jobs: name at least one of name, label, queue and worker_id");
  }
  for (const std::string& label : selection.label()) {
    if (!label.empty() && label[0] != '=') continue;
    return invalid_field("selection.label",
                         "\"" + label + "\" names no label; NAME or NAME=VALUE is expected");
  }
  for (const int state : selection.state()) {
    const absl::Status status = check_state(static_cast<v1::Job::State>(state), action);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

v1::ListJobsRequest to_list_request(const v1::JobSelection& selection, GroupAction action) {
  v1::ListJobsRequest request;
  request.set_name(selection.name());
  *request.mutable_label() = selection.label();
  request.set_queue(selection.queue());
  request.set_worker_id(selection.worker_id());
  *request.mutable_state() = selection.state();
  if (selection.state().empty()) {
    for (const v1::Job::State state : usual_states(action)) request.add_state(state);
  }
  return request;
}

std::string text_of(const v1::JobSelection& selection) {
  std::string text;
  const auto add = [&text](const char* name, const std::string& value) {
    if (!value.empty()) absl::StrAppend(&text, text.empty() ? "" : " ", name, "=", value);
  };
  add("name", selection.name());
  for (const std::string& label : selection.label()) add("label", label);
  add("queue", selection.queue());
  add("worker", selection.worker_id());
  for (const int state : selection.state()) {
    if (v1::Job::State_IsValid(state)) {
      add("state", v1::Job::State_Name(static_cast<v1::Job::State>(state)));
    }
  }
  return text;
}

}  // namespace clusterd
