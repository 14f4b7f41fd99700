#include "store/job_page.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>

#include "absl/strings/str_format.h"
#include "core/field_error.h"

namespace clusterd {
namespace {

constexpr std::string_view kTokenPrefix = "j1";
constexpr size_t kTokenDigits = 16;
constexpr uint32_t kDefaultPageSize = 100;
constexpr uint32_t kMaxPageSize = 1'000;

}  // namespace

std::string token_after(int64_t seq) {
  return absl::StrFormat("j1%016x", static_cast<uint64_t>(seq));
}

absl::StatusOr<int64_t> seq_in_token(const std::string& token) {
  if (token.empty()) return std::numeric_limits<int64_t>::max();
  const std::string_view text = token;
  int64_t seq = 0;
  if (text.size() == kTokenPrefix.size() + kTokenDigits && text.starts_with(kTokenPrefix)) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + kTokenPrefix.size(), end, seq, 16);
    if (parsed.ec == std::errc() && parsed.ptr == end && seq >= 0) return seq;
  }
  return invalid_field("page_token", "not a token that a list of jobs gave");
}

std::vector<int> states_of(const v1::ListJobsRequest& request) {
  std::vector<int> states(request.state().begin(), request.state().end());
  std::sort(states.begin(), states.end());
  states.erase(std::unique(states.begin(), states.end()), states.end());
  // STATE_UNSPECIFIED asks for every state.
  if (!states.empty() && states.front() == v1::Job::STATE_UNSPECIFIED) states.clear();
  return states;
}

size_t page_size_of(const v1::ListJobsRequest& request) {
  return request.page_size() == 0 ? kDefaultPageSize : std::min(request.page_size(), kMaxPageSize);
}

bool has_labels(const v1::Job& job, const v1::ListJobsRequest& request) {
  return std::all_of(
      request.label().begin(), request.label().end(), [&job](const std::string& wanted) {
        const size_t equals = wanted.find('=');
        const auto label = job.spec().labels().find(wanted.substr(0, equals));
        if (label == job.spec().labels().end()) return false;
        return equals == std::string::npos || label->second == wanted.substr(equals + 1);
      });
}

// With the content of scripts, pages of jobs would hold a few each.
void strip_for_list(v1::Job& job) {
  if (job.spec().has_script()) job.mutable_spec()->mutable_script()->clear_content();
}

}  // namespace clusterd
