#include "cli/list_request.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "core/proto_time.h"
#include "core/units.h"

namespace clusterd {
namespace {

// Reads a moment: `2h` is that long ago, anything else a time of RFC 3339.
absl::Status parse_moment(std::string_view option, const std::string& text,
                          google::protobuf::Timestamp& moment) {
  using google::protobuf::util::TimeUtil;
  if (const auto ago = parse_duration(text); ago.ok()) {
    moment = TimeUtil::GetCurrentTime() - to_proto(*ago);
    return absl::OkStatus();
  }
  if (TimeUtil::FromString(text, &moment)) return absl::OkStatus();
  return absl::InvalidArgumentError(std::string(option) + ": \"" + text +
                                    "\" is neither a time ago, as 2h, nor a moment, as "
                                    "2026-01-31T08:00:00Z");
}

}  // namespace

absl::StatusOr<v1::Job::State> parse_state(std::string word) {
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  v1::Job::State state = v1::Job::STATE_UNSPECIFIED;
  if (v1::Job::State_Parse(word, &state) && state != v1::Job::STATE_UNSPECIFIED) return state;
  return absl::InvalidArgumentError("--state: \"" + word +
                                    "\": allowed are queued, starting, running, succeeded, failed, "
                                    "stopped, timed_out and lost");
}

absl::StatusOr<v1::ListJobsRequest> list_request(const JobListCommand& command) {
  v1::ListJobsRequest request;
  for (const std::string& word : command.states) {
    const auto state = parse_state(word);
    if (!state.ok()) return state.status();
    request.add_state(*state);
  }
  request.set_worker_id(command.worker);
  request.set_name(command.name);
  request.set_queue(command.queue);
  request.mutable_label()->Assign(command.labels.begin(), command.labels.end());
  absl::Status status;
  if (!command.since.empty()) {
    status = parse_moment("--since", command.since, *request.mutable_submitted_since());
  }
  if (!command.before.empty()) {
    status.Update(parse_moment("--before", command.before, *request.mutable_submitted_before()));
  }
  if (!status.ok()) return status;
  return request;
}

}  // namespace clusterd
