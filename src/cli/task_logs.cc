#include "cli/task_logs.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/job_end.h"
#include "cli/prefixed_lines.h"
#include "cli/terminal.h"
#include "client/output_assembler.h"
#include "clusterd/job_tasks.h"

namespace clusterd {
namespace {

// The tasks' indexes, in order. Those of an array follow from its spec.
absl::StatusOr<std::vector<uint32_t>> indexes_of(CallerSession& session, const v1::Job& job) {
  std::vector<uint32_t> indexes;
  if (job.spec().has_array()) {
    const v1::ArraySpec& array = job.spec().array();
    for (uint32_t i = 0; i < task_count(array); ++i) indexes.push_back(task_index(array, i));
    return indexes;
  }
  v1::ListTasksRequest request;
  request.set_job_id(job.job_id());
  do {
    const auto page = session.client->list_tasks(request, session.token());
    if (!page.ok()) return page.status();
    for (const v1::Job& task : page->jobs()) {
      if (const auto parts = split_task_id(task.job_id())) indexes.push_back(parts->second);
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return indexes;
}

std::string prefix_of(uint32_t index, bool colours) {
  constexpr std::array<int, 6> kColours = {36, 33, 35, 32, 34, 31};
  if (!colours) return absl::StrCat("[", index, "] ");
  return absl::StrCat("\x1b[", kColours[index % kColours.size()], "m[", index, "]\x1b[0m ");
}

// What the threads that print tasks share; made and joined by the command.
struct Printing {
  CallerSession& session;
  const v1::Job& job;
  const v1::StreamJobRequest& request;
  const std::vector<uint32_t>& indexes;
  const bool colours;
  SharedOutput output;
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
};

absl::Status print_task(Printing& printing, SchedulerClient& client, uint32_t index) {
  v1::StreamJobRequest request = printing.request;
  request.set_job_id(task_id(printing.job.job_id(), index));
  PrefixedLines lines(printing.output, prefix_of(index, printing.colours));
  for (bool first = true;; first = false) {
    OutputAssembler output(request);
    absl::Status status = client.read_output(
        output, [&lines](std::string_view bytes) { return lines.write(bytes); }, tell,
        printing.session.token());
    tell_skipped(output);
    // The task ended while it waited for another attempt: by a stop, say.
    if (absl::IsNotFound(status) && !first) status = absl::OkStatus();
    status.Update(lines.finish());
    const bool goes_on = request.follow() && output.end().another_attempt();
    if (!status.ok() || !goes_on) return status;
    request.set_attempt(output.attempt() + 1);
  }
}

// Prints the tasks that no other thread has taken.
absl::Status print_tasks(Printing& printing, SchedulerClient& client) {
  absl::Status first;
  while (!printing.failed && !printing.session.interrupt.happened()) {
    const size_t at = printing.next.fetch_add(1);
    if (at >= printing.indexes.size()) break;
    const absl::Status status = print_task(printing, client, printing.indexes[at]);
    first.Update(status);
    // A reader that has gone ends everything; a task whose output is away does not.
    if (absl::IsCancelled(status)) printing.failed = true;
  }
  return first;
}

}  // namespace

absl::Status print_task_logs(CallerSession& session, const ClientFlags& flags, const v1::Job& job,
                             const v1::StreamJobRequest& request) {
  const auto indexes = indexes_of(session, job);
  if (!indexes.ok()) return indexes.status();
  const bool colours = terminal_of(STDOUT_FILENO, process_environment()).colours;
  Printing printing{.session = session,
                    .job = job,
                    .request = request,
                    .indexes = *indexes,
                    .colours = colours,
                    .output = {}};
  if (!request.follow()) return print_tasks(printing, *session.client);
  std::vector<std::unique_ptr<SchedulerClient>> clients;  // one for each thread
  std::vector<std::future<absl::Status>> threads;
  for (size_t i = 0; i < std::min(kMostFollowed, indexes->size()); ++i) {
    auto client = connect(flags);
    if (!client.ok()) return client.status();
    clients.push_back(*std::move(client));
  }
  for (const auto& client : clients) {
    threads.push_back(std::async(std::launch::async, [&printing, its = client.get()] {
      return print_tasks(printing, *its);
    }));
  }
  absl::Status first;
  for (auto& thread : threads) first.Update(thread.get());
  return first;
}

}  // namespace clusterd
