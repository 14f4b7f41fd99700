#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "clusterd/v1/worker.pb.h"
#include "core/config.h"

namespace clusterd {

// What this machine is and has. Read anew with each call; any thread.

[[nodiscard]] std::string host_name();

// Boot, machine and version; the worker's id and its journal are others' to fill in. Where there
// is no /etc/machine-id, the host's name tells machines apart.
[[nodiscard]] v1::WorkerIdentity machine_identity();

// As configured; what is 0 there is what the machine has.
[[nodiscard]] v1::Resources machine_capacity(const WorkerConfig::Capacity& configured);

}  // namespace clusterd
