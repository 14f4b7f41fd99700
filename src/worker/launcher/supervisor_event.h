#pragma once

#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/launcher/archive_process.h"
#include "worker/launcher/companion.h"
#include "worker/launcher/output_pump.h"
#include "worker/launcher/spawn.h"
#include "worker/unique_fd.h"

namespace clusterd {

// A journal without what is forgotten, made on a spawn thread.
struct CompactedJournal {
  absl::StatusOr<UniqueFd> file;
};

// Whether another executable can take over from this one.
struct TriedExecutable {
  absl::Status status;
};

// What the launcher's other threads tell the control thread.
using SupervisorEvent = std::variant<SpawnResult, OutputNews, CompactedJournal, ArchiveStarted,
                                     TriedExecutable, CompanionStarted>;

}  // namespace clusterd
