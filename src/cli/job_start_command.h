#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/client_settings.h"

namespace clusterd {

// What `job start` says of the queue; empty: not given.
struct QueueFlags {
  std::string array;  // "FROM-TO[:STEP][%MAX]"
  bool every_worker = false;
  std::vector<std::string> require;
  uint32_t slots = 0;
  double cpus = 0;
  std::string memory;
  std::vector<std::string> resources;  // "NAME=N"
  bool exclusive = false;
  std::vector<std::string> prefer;  // "EXPR:WEIGHT" or "EXPR=WEIGHT"
  bool pack = false;
  std::vector<std::string> tolerate;
  uint32_t gang = 0;
  bool gang_goes_on = false;  // where one of it fails
  std::string queue;
  std::string start_at;  // RFC 3339
  std::string start_delay;
  std::string queue_timeout;
  std::vector<std::string> after;  // "ID[:success|any|failure]"
  uint32_t max_attempts = 0;
  std::vector<std::string> retry_on;
  std::string backoff;
  bool allow_overlap = false;
  uint32_t max_losses = 0;
  std::string lost_after;
};

// What `job start` says of limits; empty: not given.
struct LimitFlags {
  std::string memory;
  std::optional<double> cpus;
  std::optional<uint32_t> pids;
  std::optional<uint32_t> open_files;
  std::string core;
  std::optional<int32_t> nice;
};

// What `job start` says of the output.
struct OutputFlags {
  bool separate = false;
  std::string max_bytes;
  std::string on_limit;  // "discard-oldest" or "stop"
  std::string archive_command;
};

struct JobStartCommand {
  ClientFlags client;
  QueueFlags queueing;
  LimitFlags limits;
  OutputFlags output;
  std::string request_id;
  std::string from_json;  // a JobSpec as over HTTP; what else is given goes before it
  std::string worker;
  std::string command;
  std::string name;
  std::vector<std::string> env;  // "K=V", or "K" from our own environment
  std::string env_file;
  std::string timeout;
  std::string cwd;
  std::string stdin_path;  // "-": our own standard input
  std::string stdin_file;  // below the worker's scripts folder
  std::string umask;
  std::string run_as;
  bool keep_scratch = false;
  std::string stop_signal;
  std::string stop_grace;
  int32_t priority = 0;
  std::vector<std::string> labels;
  bool follow = false;
  bool wait = false;
  bool progress = false;  // while it waits
  bool json = false;
  bool upload = false;            // `target` is a file here, which goes along
  bool is_program = false;        // `target` is one of allowed_programs, not a script
  bool is_handler = false;        // `target` is a function that a program's worker offers
  std::string target;             // the script's path, the program, or the handler
  std::vector<std::string> args;  // everything after it, untouched
};

}  // namespace clusterd
