#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/client_settings.h"

namespace clusterd {

// What the command lines about named queues ask for; see commands.h.

struct QueueListCommand {
  ClientFlags client;
  bool json = false;
};

struct QueueShowCommand {
  ClientFlags client;
  std::string queue;
  bool json = false;
};

// What is not given stays as it is.
struct QueueSetCommand {
  ClientFlags client;
  std::string queue;
  std::optional<uint32_t> max_running;
  std::optional<uint64_t> max_queued;
  std::optional<uint32_t> weight;
  bool json = false;
};

struct QueuePauseCommand {
  ClientFlags client;
  std::string queue;
  std::string reason;
  bool json = false;
};

struct QueueResumeCommand {
  ClientFlags client;
  std::string queue;
  bool json = false;
};

struct QueueDeleteCommand {
  ClientFlags client;
  std::string queue;
};

}  // namespace clusterd
