#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "cli/interrupt.h"
#include "client/client_settings.h"
#include "client/scheduler_client.h"

namespace clusterd {

// INVALID_ARGUMENT and NOT_FOUND name the flag or file. Connects with the first call.
[[nodiscard]] absl::StatusOr<std::unique_ptr<SchedulerClient>> connect(const ClientFlags& flags);

// A command's connection to the scheduler; Ctrl-C ends its calls. Made and used on one thread.
struct CallerSession {
  Interrupt interrupt;  // first: threads made after it do not get the signals
  std::unique_ptr<SchedulerClient> client;

  // How many interrupts the command handles before one more ends it.
  explicit CallerSession(size_t stages = 1) : interrupt(stages) {}
  // As connect().
  [[nodiscard]] absl::Status open(const ClientFlags& flags);
  [[nodiscard]] std::stop_token token() const { return interrupt.token(); }
};

// Says it to people, on standard error.
void tell(const std::string& text);
// The same with what keeps a job that waits from every worker, where nothing but a change of the
// cluster helps; see placement_hints().
void tell_placement_hints(CallerSession& session, const v1::JobSpec& spec);

// Prints one JSON document; the process's exit code.
[[nodiscard]] int print_json(const google::protobuf::Message& message);

}  // namespace clusterd
