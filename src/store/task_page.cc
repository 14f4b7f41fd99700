#include "store/task_page.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_tasks.h"
#include "core/field_error.h"

namespace clusterd {
namespace {

constexpr uint32_t kDefaultPageSize = 100;
constexpr uint32_t kMaxPageSize = 1'000;
constexpr size_t kMaxPageBytes = 2 << 20;  // a page must fit into one message
constexpr int64_t kHighestIndex = UINT32_MAX;

}  // namespace

std::string events_dropped(uint64_t since, uint64_t oldest) {
  return absl::StrCat("since: ", since, ": events before ", oldest, " are no longer kept");
}

TaskPage::TaskPage(const v1::Job& array, const v1::ListTasksRequest& request)
    : array_(array),
      request_(request),
      page_size_(request.page_size() == 0 ? kDefaultPageSize
                                          : std::min(request.page_size(), kMaxPageSize)) {
  if (!has_tasks(array)) {
    status_ = absl::FailedPreconditionError(
        absl::StrCat("job ", array.job_id(), " has no tasks: it is no array"));
    return;
  }
  const std::string& token = request.page_token();
  const char* end = token.data() + token.size();
  const auto parsed = std::from_chars(token.data(), end, next_);
  if (!token.empty() && (parsed.ec != std::errc() || parsed.ptr != end || next_ < 0)) {
    status_ = invalid_field("page_token", "not a token that a list of tasks gave");
  }
  wants_unrecorded_ = array.spec().has_array() && wants(unstarted_state(array));
}

bool TaskPage::wants(v1::Job::State state) const {
  const auto& states = request_.state();
  return states.empty() || std::find(states.begin(), states.end(), state) != states.end() ||
         std::find(states.begin(), states.end(), v1::Job::STATE_UNSPECIFIED) != states.end();
}

void TaskPage::add(uint32_t index, const v1::Job& task) {
  add_unrecorded_below(index);
  if (full_) return;
  if (wants(task.state())) take(index, task);
  if (!full_) next_ = int64_t{index} + 1;
}

void TaskPage::add_unrecorded_below(int64_t end) {
  if (!wants_unrecorded_ || full_) return;
  const v1::ArraySpec& array = array_.spec().array();
  const int64_t step = std::max(1U, array.step());
  const int64_t from = array.from();
  int64_t index = next_ <= from ? from : from + (next_ - from + step - 1) / step * step;
  for (; index < end && index <= int64_t{array.to()} && !full_; index += step) {
    take(index, unstarted_task(array_, static_cast<uint32_t>(index)));
  }
}

void TaskPage::take(int64_t index, v1::Job task) {
  next_ = index;
  if (static_cast<size_t>(page_.jobs_size()) == page_size_ || bytes_ >= kMaxPageBytes) {
    full_ = true;
    page_.set_next_page_token(absl::StrCat(index));
    return;
  }
  bytes_ += task.ByteSizeLong();
  *page_.add_jobs() = std::move(task);
  next_ = index + 1;
}

v1::ListJobsResponse TaskPage::finish() {
  add_unrecorded_below(kHighestIndex + 1);
  return std::move(page_);
}

}  // namespace clusterd
