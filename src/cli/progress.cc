#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/describe.h"
#include "clusterd/job_states.h"

namespace clusterd {
namespace {

using std::chrono::nanoseconds;

constexpr size_t kMostBar = 30;
constexpr size_t kTextBesideBar = 70;

uint64_t count_of(const v1::Job& job, v1::Job::State state) {
  const auto found = job.task_counts().find(std::string(name_of(state)));
  return found == job.task_counts().end() ? 0 : found->second;
}

uint64_t all_tasks(const v1::Job& job) {
  uint64_t all = 0;
  for (const auto& [state, count] : job.task_counts()) all += count;
  return all;
}

std::string bar(uint64_t done, uint64_t all, size_t width) {
  const size_t filled = all == 0 ? 0 : static_cast<size_t>(done * width / all);
  std::string text(filled, '=');
  if (filled < width) text += '>';
  text.resize(width, ' ');
  return "[" + text + "] ";
}

}  // namespace

uint64_t ended_tasks(const v1::Job& job) {
  using v1::Job;
  uint64_t ended = 0;
  for (const auto state : {Job::SUCCEEDED, Job::FAILED, Job::STOPPED, Job::TIMED_OUT, Job::LOST}) {
    ended += count_of(job, state);
  }
  return ended;
}

std::string progress_text(const v1::Job& job, uint64_t ended_before, nanoseconds watched,
                          std::optional<size_t> columns) {
  using v1::Job;
  const uint64_t all = all_tasks(job);
  if (all == 0) {
    if (!job.has_progress() || is_final(job.state())) return summary_of(job);
    const v1::Progress& told = job.progress();
    const bool has_bar = columns && *columns > kTextBesideBar + 12 && told.total() > 0;
    const size_t width = has_bar ? std::min(*columns - kTextBesideBar, kMostBar) : 0;
    return (has_bar ? bar(std::min(told.done(), told.total()), told.total(), width) : "") +
           progress_of(told);
  }
  const uint64_t ended = ended_tasks(job);
  const uint64_t failed = ended - count_of(job, Job::SUCCEEDED) - count_of(job, Job::STOPPED);
  std::string text;
  if (columns && *columns > kTextBesideBar + 12) {
    text = bar(ended, all, std::min(*columns - kTextBesideBar, kMostBar));
  }
  absl::StrAppend(&text, ended, "/", all, " done");
  if (failed > 0) absl::StrAppend(&text, ", ", failed, " failed");
  absl::StrAppend(&text, ", ", count_of(job, Job::RUNNING) + count_of(job, Job::STARTING),
                  " running");
  const double seconds = std::chrono::duration<double>(watched).count();
  if (ended <= ended_before || seconds <= 0) return text;
  const double rate = static_cast<double>(ended - ended_before) / seconds;
  absl::StrAppend(&text, ", ", absl::StrFormat("%.*f/s", rate < 10 ? 1 : 0, rate));
  if (ended == all) return text;
  const std::chrono::duration<double> left(static_cast<double>(all - ended) / rate);
  constexpr std::chrono::hours kSensible(24 * 365);
  if (left > kSensible) return text;
  return text + ", " + in_short(std::chrono::duration_cast<nanoseconds>(left)) + " left";
}

absl::StatusOr<v1::Job> wait_with_progress(CallerSession& session, const std::string& job_id,
                                           const std::stop_token& stop) {
  constexpr std::chrono::milliseconds kOnTerminal(500);
  constexpr std::chrono::milliseconds kElsewhere(5'000);
  const Terminal terminal = terminal_of(STDERR_FILENO, process_environment());
  const nanoseconds interval = terminal.columns ? kOnTerminal : kElsewhere;
  const auto begin = std::chrono::steady_clock::now();
  std::optional<uint64_t> ended_before;
  while (true) {
    auto job = session.client->query(job_id, stop);
    if (job.ok()) {
      if (!ended_before) ended_before = ended_tasks(*job);
      const std::string text = progress_text(
          *job, *ended_before, std::chrono::steady_clock::now() - begin, terminal.columns);
      if (terminal.columns) {
        std::fprintf(stderr, "\r\x1b[K%s", text.c_str());
      } else {
        tell(text);
      }
      if (is_final(job->state())) {
        if (terminal.columns) std::fputc('\n', stderr);
        return job;
      }
    }
    job = session.client->wait(job_id, interval, stop);
    if (job.ok() || absl::IsDeadlineExceeded(job.status())) continue;
    if (terminal.columns) std::fputc('\n', stderr);
    return job;
  }
}

}  // namespace clusterd
