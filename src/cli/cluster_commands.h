#pragma once

#include <cstdint>
#include <string>

#include "client/client_settings.h"

namespace clusterd {

// What the command lines about the cluster ask for; see commands.h.

struct ClusterStatusCommand {
  ClientFlags client;
  bool json = false;
};

struct ClusterWorkersCommand {
  ClientFlags client;
  bool by_label = false;  // the labels that there are, or with `label` the workers that meet it
  std::string label;      // as in --require
  bool json = false;
};

struct ClusterScriptsCommand {
  ClientFlags client;
  std::string worker;
  bool json = false;
  bool quiet = false;  // paths only
};

struct ClusterDrainCommand {
  ClientFlags client;
  std::string worker;
  std::string deadline;
  std::string reason;
  bool json = false;
};

struct ClusterResumeCommand {
  ClientFlags client;
  std::string worker;
  bool json = false;
};

struct ClusterRemoveCommand {
  ClientFlags client;
  std::string worker;
  bool json = false;
};

struct ClusterEventsCommand {
  ClientFlags client;
  uint64_t since = 0;
  bool json = false;
};

}  // namespace clusterd
