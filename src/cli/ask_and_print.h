#pragma once

#include "cli/caller_session.h"
#include "cli/describe.h"
#include "cli/exit_codes.h"
#include "cli/print.h"

namespace clusterd {

// Opens a session, asks, and prints the answer as JSON or in words; the process's exit code.
template <typename Ask, typename Describe>
int ask_and_print(const ClientFlags& flags, bool as_json, Ask ask, Describe describe) {
  CallerSession session;
  if (const absl::Status status = session.open(flags); !status.ok()) return report_error(status);
  const auto answer = ask(*session.client, session.token());
  if (!answer.ok()) return finish(answer.status());
  return as_json ? print_json(*answer) : print_text(describe(*answer, view_of_stdout()));
}

}  // namespace clusterd
