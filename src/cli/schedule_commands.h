#pragma once

#include <string>

#include "client/client_settings.h"

namespace clusterd {

// What the command lines about schedules ask for, all but `create`; see commands.h.

struct ScheduleListCommand {
  ClientFlags client;
  bool json = false;
  bool quiet = false;  // names only
};

struct ScheduleShowCommand {
  ClientFlags client;
  std::string name;
  bool json = false;
};

struct SchedulePauseCommand {
  ClientFlags client;
  std::string name;
  bool json = false;
};

struct ScheduleResumeCommand {
  ClientFlags client;
  std::string name;
  bool json = false;
};

struct ScheduleDeleteCommand {
  ClientFlags client;
  std::string name;
};

struct ScheduleTriggerCommand {
  ClientFlags client;
  std::string name;
  std::string request_id;
  bool json = false;
};

}  // namespace clusterd
