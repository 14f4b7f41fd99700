#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/cluster_commands.h"
#include "cli/job_start_command.h"
#include "cli/queue_commands.h"
#include "cli/run_doctor.h"
#include "cli/schedule_commands.h"
#include "cli/security_commands.h"
#include "cli/shell_commands.h"
#include "cli/store_commands.h"
#include "client/client_settings.h"

namespace clusterd {

// What each command line asks for, as typed: values are checked where they are used.

struct HelpCommand {
  std::string text;
};

struct VersionCommand {};

struct SchedulerCommand {
  std::string config_file;
  std::string port_file;
  bool check = false;
};

struct WorkerCommand {
  std::string config_file;
  std::string port_file;
  bool check = false;
  bool upgrade = false;  // the one that runs: replace it in place
  bool drain = false;    // the same: end it when its jobs have ended
  bool stop = false;     // the same: end it, and its jobs
};

struct DevCommand {
  std::string scripts_dir = "scripts";
  uint32_t slots = 0;  // 0: processors
  std::vector<std::string> allowed_programs;
  uint16_t http_port = 3000;
  uint16_t grpc_port = 50000;
  uint16_t worker_port = 30000;
  // No options.
  uint64_t max_output_bytes = 0;  // kept of each stream; 0: the worker's default
  std::string log_level = "warning";
};

// Measures a cluster.
struct BenchCommand {
  ClientFlags client;
  std::string http;         // "[https://]host:port"; empty: the scheduler is asked
  bool standalone = false;  // one that is started for it
  std::vector<std::string> only;
  std::optional<uint64_t> jobs;
  std::vector<uint32_t> connections;  // empty: the usual numbers
  std::vector<uint32_t> followers;    // the same
  uint32_t slots = 8;                 // with `standalone`
  std::string output_bytes;           // a size; empty: the usual one
  bool json = false;
};

// Starts a job and stays with it.
struct RunCommand {
  JobStartCommand start;
  bool detach = false;  // print the id and leave it
  bool quiet = false;   // do not tell the id
};

// Sets a schedule up, whose jobs are as `start` says.
struct ScheduleCreateCommand {
  JobStartCommand start;
  std::string name;
  std::string cron;
  std::string time_zone;
  std::string overlap;   // "skip", "queue" or "replace"; empty: the scheduler's default
  std::string catch_up;  // "none", "last" or "all"; the same
  std::string catch_up_within;
  uint32_t catch_up_max = 0;
  bool paused = false;
  bool replace = false;  // one that is there is changed
  bool json = false;
  bool quiet = false;  // the name only
};

// Jobs that a command takes by what they are, instead of ids.
struct GroupFlags {
  std::string name;
  std::vector<std::string> labels;
  std::string queue;
  std::string worker;
  std::vector<std::string> states;
  bool dry_run = false;
  bool quiet = false;  // ids only
};

struct JobStopCommand {
  ClientFlags client;
  std::vector<std::string> job_ids;
  GroupFlags group;
  std::string reason;
  bool json = false;
};

struct JobQueryCommand {
  ClientFlags client;
  std::string job_id;
  bool json = false;
};

struct JobWaitCommand {
  ClientFlags client;
  std::vector<std::string> job_ids;
  std::string timeout;  // empty: no bound
  bool json = false;
};

struct JobLogsCommand {
  ClientFlags client;
  std::string job_id;
  bool follow = false;
  std::optional<uint32_t> tail_lines;
  uint64_t offset = 0;
  std::string stream;  // stdout, stderr, merged; empty: the only one
  uint32_t attempt = 0;
};

struct JobListCommand {
  ClientFlags client;
  std::vector<std::string> states;
  std::string worker;
  std::string name;
  std::vector<std::string> labels;
  std::string queue;
  std::string since;
  std::string before;
  uint32_t limit = 100;
  bool json = false;
  bool quiet = false;  // ids only
};

struct JobTasksCommand {
  ClientFlags client;
  std::string job_id;
  std::vector<std::string> states;
  uint32_t limit = 100;
  bool json = false;
  bool quiet = false;  // ids only
};

struct JobExplainCommand {
  ClientFlags client;
  std::string job_id;
  bool json = false;
};

struct JobSignalCommand {
  ClientFlags client;
  std::string job_id;
  std::string signal;
  bool main_only = false;
};

struct JobRetryCommand {
  ClientFlags client;
  std::vector<std::string> job_ids;
  GroupFlags group;
  bool failed = false;  // FAILED, TIMED_OUT and LOST, which is the default
  bool json = false;
};

struct JobDeleteCommand {
  ClientFlags client;
  std::vector<std::string> job_ids;
};

using Command = std::variant<
    HelpCommand, VersionCommand, SchedulerCommand, WorkerCommand, DevCommand, RunCommand,
    JobStartCommand, JobStopCommand, JobQueryCommand, JobWaitCommand, JobLogsCommand,
    JobListCommand, JobTasksCommand, JobExplainCommand, JobSignalCommand, JobRetryCommand,
    JobDeleteCommand, ClusterStatusCommand, ClusterWorkersCommand, ClusterScriptsCommand,
    ClusterDrainCommand, ClusterResumeCommand, ClusterRemoveCommand, ClusterEventsCommand,
    QueueListCommand, QueueShowCommand, QueueSetCommand, QueuePauseCommand, QueueResumeCommand,
    QueueDeleteCommand, ScheduleCreateCommand, ScheduleListCommand, ScheduleShowCommand,
    SchedulePauseCommand, ScheduleResumeCommand, ScheduleDeleteCommand, ScheduleTriggerCommand,
    TlsInitCommand, TlsIssueCommand, TlsRevokeCommand, TlsShowCommand, TlsVerifyCommand,
    TokenCreateCommand, TokenListCommand, TokenRevokeCommand, CompletionCommand, CompleteCommand,
    ManualCommand, StoreExportCommand, StoreImportCommand, StoreCheckCommand, DoctorCommand,
    BenchCommand>;

}  // namespace clusterd
