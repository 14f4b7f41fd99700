#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace clusterd {

// A listening address with the files that secure it.
struct ListenerConfig {
  std::string addr;  // host:port; port 0: any free one
  bool use_tls = false;
  std::string crt_file;
  std::string key_file;
  std::string ca_file;   // needed with use_tls on a gRPC listener; of HTTPS empty: asks for none
  std::string crl_file;  // empty: nothing is revoked
  // Names in certificates.
  std::string cluster;  // empty: that of the own certificate, for HTTPS else that of [grpc_server]
  std::map<std::string, std::string> identities;  // DNS name → "worker/db1"
  std::chrono::nanoseconds max_connection_age = std::chrono::minutes(30);  // gRPC, with TLS
  bool allow_insecure = false;        // lets it listen beyond loopback without TLS
  std::string local_callers = "any";  // or kSameUser: others must show a token or certificate
};

inline constexpr char kSameUser[] = "same_user";

struct LogConfig {
  std::string level = "info";   // trace, debug, info, warning, error
  std::string format = "text";  // text, for people, or json, for machines
};

struct RetentionConfig {
  std::chrono::nanoseconds max_age = std::chrono::hours(168);
  uint64_t max_jobs = 1'000'000;  // scheduler only
  uint64_t max_events = 100'000;  // scheduler only; the newest, for those who watch
};

// Everything that `clusterd scheduler --config FILE` reads. Defaults are those of the manual.
struct SchedulerConfig {
  struct GrpcServer : ListenerConfig {
    // What strangers may take. A client is an address.
    uint32_t max_connections = 4'000;
    uint32_t max_connections_per_client = 1'000;
    uint32_t max_streams_per_connection = 1'000;
    uint32_t max_streams_per_client = 1'000;  // of clients, not of workers
    uint32_t max_request_rate = 0;            // a second; 0: no bound, see the loader
    std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(10);
    std::chrono::nanoseconds idle_timeout = std::chrono::minutes(5);  // without a call
  };
  GrpcServer grpc_server{{.addr = "127.0.0.1:50000"}};
  struct HttpServer : ListenerConfig {
    std::vector<std::string> allowed_hosts;  // Host names that browsers may use
    std::string tokens_file;
    std::vector<std::string> trusted_proxies;  // IP addresses and networks
    uint64_t max_body_bytes = 4ULL << 20;
    uint64_t max_header_bytes = 64ULL << 10;
    std::chrono::nanoseconds header_timeout = std::chrono::seconds(10);  // first byte to last
    std::chrono::nanoseconds body_timeout = std::chrono::seconds(30);    // without any progress
    std::chrono::nanoseconds idle_timeout = std::chrono::seconds(75);    // keep-alive
    uint64_t min_body_rate_bytes = 1ULL << 10;                           // a second, on average
    std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(10);
    std::chrono::nanoseconds write_timeout = std::chrono::seconds(30);  // of a whole answer
    std::chrono::nanoseconds stream_write_timeout =
        std::chrono::minutes(10);  // of a stream's piece
    uint32_t max_headers = 100;
    uint32_t max_connections = 10'000;
    uint32_t max_connections_per_client = 4'000;
    uint32_t max_streams_per_client = 1'000;
    uint32_t max_request_rate = 0;  // a second and client; 0: no bound, see the loader
    uint64_t max_request_memory_bytes = 32ULL << 20;
  };
  HttpServer http_server{{.addr = "127.0.0.1:3000"}};
  struct Store {
    std::string backend = "sqlite";
    std::string path = "clusterd.db";
    uint64_t min_free_bytes = 64ULL << 20;  // below it, submits are refused
    // Of backend "etcd".
    std::vector<std::string> endpoints = {"127.0.0.1:2379"};
    std::string prefix = "/clusterd/";  // of all keys; ends with '/'
    bool use_tls = false;
    std::string crt_file;  // this and key_file together; empty: none is shown
    std::string key_file;
    std::string ca_file;
    std::string user;
    std::string password_file;
    std::chrono::nanoseconds lease_ttl = std::chrono::seconds(2);  // of the leader's key
    uint64_t quota_bytes = 2ULL << 30;                             // etcd's --quota-backend-bytes
  } store;
  struct Scheduling {
    std::chrono::nanoseconds worker_timeout = std::chrono::seconds(15);
    std::chrono::nanoseconds lost_after = std::chrono::minutes(5);
    std::chrono::nanoseconds heartbeat_interval = std::chrono::seconds(5);
    std::chrono::nanoseconds start_wait = std::chrono::milliseconds(500);
    uint64_t max_queued = 1'000'000;
    uint32_t max_schedules = 1'000;
    // Of one job; a worker takes no more than the defaults.
    uint64_t max_args_bytes = 128ULL << 10;
    uint64_t max_env_bytes = 128ULL << 10;
    uint64_t max_stdin_bytes = 64ULL << 10;
    uint64_t max_upload_bytes = 1ULL << 20;     // of a script that comes with its job
    uint64_t max_uploads_bytes = 256ULL << 20;  // of those of all jobs that have not ended
    uint32_t max_losses = 3;                    // of a job that does not say
    // Of workers where jobs do not start.
    uint32_t quarantine_after = 3;  // failures in a row; 0: never
    std::chrono::nanoseconds quarantine_window = std::chrono::minutes(5);   // these lie within it
    std::chrono::nanoseconds quarantine_backoff = std::chrono::seconds(2);  // then doubled
  } scheduling;
  RetentionConfig retention;
  struct Compat {
    bool enabled = true;    // the loader's default: only where the HTTP address is loopback
    bool over_grpc = true;  // their gRPC services; as `enabled`, by the gRPC address
    std::vector<std::string> addrs;  // where else their services are served
    std::string task_script;         // what a task's payload is given to; empty: it names a script
    uint32_t worker_slots = 16;      // of a worker that does not say what it can take
    std::chrono::nanoseconds heartbeat_timeout = std::chrono::seconds(30);  // of go-work members
  } compat;
  // Every call that changes something, as lines of JSON.
  struct Audit {
    std::string file;  // empty: none; the loader's default beyond loopback lies beside the store
    uint64_t max_size_bytes = 64ULL << 20;  // of one file
    uint32_t max_files = 8;                 // the one that is written included
  } audit;
  LogConfig log;
};

// Everything that `clusterd worker --config FILE` reads.
struct WorkerConfig {
  struct GrpcServer : ListenerConfig {
    std::string advertise_addr;  // empty: the session's own address
  };
  GrpcServer grpc_server{{.addr = "127.0.0.1:30000"}};
  struct Scheduler {
    std::vector<std::string> addr = {"127.0.0.1:50000"};
    std::string protocol = "clusterd";  // clusterd, jobscheduler or go-work: what it speaks
    std::string task_addr;  // go-work: where ends are told; empty: the port after addr's
  } scheduler;
  struct HttpServer {
    std::string addr;  // the scheduler's; the original worker's file has it, nothing uses it
  } http_server;
  struct Compat {
    bool enabled = true;      // the loader's default: where the gRPC address is loopback
    std::string task_script;  // what a payload is given to; empty: it names a script
  } compat;
  struct Metrics {
    std::string addr;             // where /metrics is served over HTTP; empty: nowhere
    bool allow_insecure = false;  // lets it listen beyond loopback
  } metrics;
  bool is_original_file = false;  // no key: a file of scheduler-worker-grpc as it is
  struct Worker {
    std::string name;  // empty: the host's name
    std::map<std::string, std::string> labels;
    std::string on_stop = "keep";               // keep, drain or stop the jobs on SIGTERM
    std::chrono::nanoseconds drain_timeout{0};  // of on_stop = "drain"; 0: no bound
    std::vector<std::string> taints;            // "key" or "key=value"
  } worker;
  struct Capacity {
    uint32_t slots = 0;                      // 0: processors
    double cpus = 0;                         // 0: processors
    uint64_t memory_bytes = 0;               // 0: the machine's
    std::map<std::string, uint32_t> custom;  // units of counted resources, by name
  } capacity;
  struct Jobs {
    std::string scripts_dir = "scripts";
    std::string data_dir = "data";
    std::string runtime_dir;  // empty: /run/clusterd/…, else below data_dir
    std::vector<std::string> allowed_commands = {"bash", "sh", "python3"};
    std::vector<std::string> allowed_programs;
    std::vector<std::string> env_allow;
    std::vector<std::string> archive_commands;
    std::chrono::nanoseconds archive_timeout = std::chrono::minutes(5);
    std::chrono::nanoseconds full_disk_wait = std::chrono::seconds(5);
    std::vector<std::string> pass_env;       // taken over from the worker's own environment
    std::map<std::string, std::string> env;  // of every job
    std::string run_as;                      // empty: the worker's own user
    std::vector<std::string> allowed_users;  // whom a job may ask for
    bool allow_new_privileges = false;
    std::string scratch_dir;     // empty: below data_dir
    std::string digests;         // file of the SHA-256 of allowed scripts; empty: all are allowed
    bool seal_scripts = false;   // run a sealed copy also without digests
    bool allow_uploads = false;  // run scripts that come with their jobs
    uint64_t max_upload_bytes = 1ULL << 20;  // the largest of them
    uint64_t max_output_bytes = 256ULL << 20;
    std::chrono::nanoseconds stop_grace = std::chrono::seconds(10);
  } jobs;
  // What jobs are kept within: of jobs that do not say, and at most. 0: none, but for core files.
  struct Limits {
    std::string cgroups = "auto";  // auto, v1 or off
    std::string cgroup_parent;     // of version 2, below its mount; empty: found by the launcher
    uint64_t memory_bytes = 0;
    uint64_t max_memory_bytes = 0;
    double cpus = 0;
    double max_cpus = 0;
    uint32_t pids = 0;
    uint32_t max_pids = 0;
    uint32_t open_files = 0;  // 0: as the worker has it
    uint32_t max_open_files = 0;
    uint64_t core_bytes = 0;  // 0: no core files
    uint64_t max_core_bytes = 1ULL << 30;
    int32_t nice = 0;  // 0: as the worker has it
    int32_t min_nice = 0;
    std::chrono::nanoseconds timeout{0};
    std::chrono::nanoseconds max_timeout{0};
  } limits;
  RetentionConfig retention;
  LogConfig log;
};

// Where the command line and the client library find the scheduler, and what they show it.
struct ClientConfig {
  std::vector<std::string> addr = {"127.0.0.1:50000"};  // tried in order
  std::string token;
  std::string ca_file;   // empty: plaintext
  std::string crt_file;  // this and key_file together; empty: a token says who we are
  std::string key_file;
};

}  // namespace clusterd
