#pragma once

#include "cli/commands.h"

namespace clusterd {

// `clusterd tls …`: each prints its result and returns the process's exit code.
[[nodiscard]] int run(const TlsInitCommand& command);
[[nodiscard]] int run(const TlsIssueCommand& command);
[[nodiscard]] int run(const TlsRevokeCommand& command);
[[nodiscard]] int run(const TlsShowCommand& command);
[[nodiscard]] int run(const TlsVerifyCommand& command);

}  // namespace clusterd
