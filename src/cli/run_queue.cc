#include "cli/run_queue.h"

#include <string>
#include <utility>

#include "cli/caller_session.h"
#include "cli/describe.h"
#include "cli/exit_codes.h"
#include "cli/print.h"
#include "cli/table.h"

namespace clusterd {
namespace {

v1::ListQueuesResponse list_of(const v1::Queue& queue) {
  v1::ListQueuesResponse one;
  *one.add_queues() = queue;
  return one;
}

std::string table_of(const v1::Queue& queue) {
  return describe_queues(list_of(queue), view_of_stdout());
}

std::string table_of(const v1::ListQueuesResponse& queues) {
  return describe_queues(queues, view_of_stdout());
}

// Opens a session, asks, and prints the answer as JSON or as a table.
template <typename Command, typename Ask>
int ask_and_print(const Command& command, Ask ask) {
  CallerSession session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return report_error(status);
  }
  const auto answer = ask(*session.client, session.token());
  if (!answer.ok()) return finish(answer.status());
  return command.json ? print_json(*answer) : print_text(table_of(*answer));
}

}  // namespace

int run(const QueueListCommand& command) {
  return ask_and_print(command, [](SchedulerClient& client, const std::stop_token& stop) {
    return client.list_queues(stop);
  });
}

int run(const QueueShowCommand& command) {
  return ask_and_print(command, [&command](SchedulerClient& client, const std::stop_token& stop) {
    return client.get_queue(command.queue, stop);
  });
}

int run(const QueueSetCommand& command) {
  return ask_and_print(command,
                       [&command](SchedulerClient& client,
                                  const std::stop_token& stop) -> absl::StatusOr<v1::Queue> {
                         auto before = client.get_queue(command.queue, stop);
                         if (!before.ok() && !absl::IsNotFound(before.status())) return before;
                         v1::SetQueueRequest request;
                         v1::Queue& queue = *request.mutable_queue();
                         if (before.ok()) queue = *before;
                         queue.set_name(command.queue);
                         queue.clear_paused();  // which leaves it as it is
                         if (command.max_running) queue.set_max_running(*command.max_running);
                         if (command.max_queued) queue.set_max_queued(*command.max_queued);
                         if (command.weight) queue.set_weight(*command.weight);
                         return client.set_queue(std::move(request), stop);
                       });
}

int run(const QueuePauseCommand& command) {
  return ask_and_print(command, [&command](SchedulerClient& client, const std::stop_token& stop) {
    v1::PauseQueueRequest request;
    request.set_name(command.queue);
    request.set_reason(command.reason);
    return client.pause_queue(std::move(request), stop);
  });
}

int run(const QueueResumeCommand& command) {
  return ask_and_print(command, [&command](SchedulerClient& client, const std::stop_token& stop) {
    v1::ResumeQueueRequest request;
    request.set_name(command.queue);
    return client.resume_queue(std::move(request), stop);
  });
}

int run(const QueueDeleteCommand& command) {
  CallerSession session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return report_error(status);
  }
  v1::DeleteQueueRequest request;
  request.set_name(command.queue);
  const auto answer = session.client->delete_queue(std::move(request), session.token());
  return answer.ok() ? kExitOk : finish(answer.status());
}

}  // namespace clusterd
