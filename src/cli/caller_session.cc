#include "cli/caller_session.h"

#include <cstdio>
#include <utility>

#include "cli/placement_hints.h"
#include "cli/print.h"

namespace clusterd {

absl::StatusOr<std::unique_ptr<SchedulerClient>> connect(const ClientFlags& flags) {
  const auto config = resolve_client_config(flags, process_environment());
  if (!config.ok()) return config.status();
  return SchedulerClient::make(*config, address_source(flags, process_environment()));
}

absl::Status CallerSession::open(const ClientFlags& flags) {
  auto made = connect(flags);
  if (!made.ok()) return made.status();
  client = *std::move(made);
  return absl::OkStatus();
}

void tell(const std::string& text) { std::fprintf(stderr, "clusterd: %s\n", text.c_str()); }

void tell_placement_hints(CallerSession& session, const v1::JobSpec& spec) {
  const auto workers = session.client->list_workers(session.token());
  if (!workers.ok()) return;
  for (const std::string& hint : placement_hints(spec, *workers)) tell(hint);
}

int print_json(const google::protobuf::Message& message) {
  auto text = to_json(message);
  if (text.ok()) *text += "\n";
  return print_text(text);
}

}  // namespace clusterd
