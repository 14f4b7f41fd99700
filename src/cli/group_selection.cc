#include "cli/group_selection.h"

#include "absl/strings/str_cat.h"
#include "cli/list_request.h"

namespace clusterd {
namespace {

bool selects(const GroupFlags& flags) {
  return !flags.name.empty() || !flags.labels.empty() || !flags.queue.empty() ||
         !flags.worker.empty() || !flags.states.empty();
}

}  // namespace

absl::StatusOr<std::optional<v1::JobSelection>> group_selection(
    const std::vector<std::string>& job_ids, const GroupFlags& flags) {
  if (!selects(flags)) {
    if (job_ids.empty()) {
      return absl::InvalidArgumentError(
          "JOB: name jobs, or select them by --name, --label, --queue or --worker");
    }
    if (flags.dry_run || flags.quiet) {
      return absl::InvalidArgumentError(
          std::string(flags.dry_run ? "--dry-run" : "--quiet") +
          ": is for jobs that --name, --label, --queue or --worker select");
    }
    return std::nullopt;
  }
  if (!job_ids.empty()) {
    return absl::InvalidArgumentError("JOB: \"" + job_ids.front() +
                                      "\" goes not together with --name, --label, --queue, "
                                      "--worker and --state");
  }
  v1::JobSelection selection;
  selection.set_name(flags.name);
  selection.mutable_label()->Assign(flags.labels.begin(), flags.labels.end());
  selection.set_queue(flags.queue);
  selection.set_worker_id(flags.worker);
  for (const std::string& word : flags.states) {
    const auto state = parse_state(word);
    if (!state.ok()) return state.status();
    selection.add_state(*state);
  }
  return selection;
}

std::string describe_group(const v1::MatchingJobsResponse& answer, const GroupFlags& flags,
                           const std::string& what_happens) {
  std::string text;
  if (!flags.quiet) {
    text =
        absl::StrCat(answer.count(), answer.count() == 1 ? " job " : " jobs ", what_happens, "\n");
  }
  for (const std::string& job_id : answer.job_ids()) absl::StrAppend(&text, job_id, "\n");
  const uint64_t unnamed = answer.count() - static_cast<uint64_t>(answer.job_ids_size());
  if (unnamed > 0 && !flags.quiet) absl::StrAppend(&text, "and ", unnamed, " more\n");
  return text;
}

}  // namespace clusterd
