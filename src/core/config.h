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
  std::string ca_file;          // needed with use_tls on a gRPC listener
  bool allow_insecure = false;  // lets it listen beyond loopback without TLS
};

struct LogConfig {
  std::string level = "info";  // trace, debug, info, warning, error
};

struct RetentionConfig {
  std::chrono::nanoseconds max_age = std::chrono::hours(168);
  uint64_t max_jobs = 1'000'000;  // scheduler only
  uint64_t max_events = 100'000;  // scheduler only; the newest, for those who watch
};

// Everything that `clusterd scheduler --config FILE` reads. Defaults are those of the manual.
struct SchedulerConfig {
  ListenerConfig grpc_server{.addr = "127.0.0.1:50000"};
  struct HttpServer : ListenerConfig {
    std::vector<std::string> allowed_hosts;  // Host names that browsers may use
    std::string tokens_file;
    uint64_t max_body_bytes = 4ULL << 20;
    uint64_t max_header_bytes = 64ULL << 10;
    std::chrono::nanoseconds header_timeout = std::chrono::seconds(10);  // first byte to last
    std::chrono::nanoseconds body_timeout = std::chrono::seconds(30);    // without any progress
    std::chrono::nanoseconds idle_timeout = std::chrono::seconds(75);    // keep-alive
    uint32_t max_connections = 10'000;
  };
  HttpServer http_server{{.addr = "127.0.0.1:3000"}};
  struct Store {
    std::string backend = "sqlite";
    std::string path = "clusterd.db";
    uint64_t min_free_bytes = 64ULL << 20;  // below it, submits are refused
  } store;
  struct Scheduling {
    std::chrono::nanoseconds worker_timeout = std::chrono::seconds(15);
    std::chrono::nanoseconds lost_after = std::chrono::minutes(5);
    std::chrono::nanoseconds heartbeat_interval = std::chrono::seconds(5);
    std::chrono::nanoseconds start_wait = std::chrono::milliseconds(500);
    uint64_t max_queued = 1'000'000;
  } scheduling;
  RetentionConfig retention;
  struct Compat {
    bool enabled = true;  // the loader's default: only where the HTTP address is loopback
  } compat;
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
  } scheduler;
  struct Worker {
    std::string name;  // empty: the host's name
    std::map<std::string, std::string> labels;
    std::string on_stop = "keep";  // keep, drain or stop the jobs on SIGTERM
  } worker;
  struct Capacity {
    uint32_t slots = 0;         // 0: processors
    double cpus = 0;            // 0: processors
    uint64_t memory_bytes = 0;  // 0: the machine's
  } capacity;
  struct Jobs {
    std::string scripts_dir = "scripts";
    std::string data_dir = "data";
    std::string runtime_dir;  // empty: /run/clusterd/…, else below data_dir
    std::vector<std::string> allowed_commands = {"bash", "sh", "python3"};
    std::vector<std::string> allowed_programs;
    std::vector<std::string> env_allow;
    uint64_t max_output_bytes = 256ULL << 20;
    std::chrono::nanoseconds stop_grace = std::chrono::seconds(10);
  } jobs;
  RetentionConfig retention;
  LogConfig log;
};

// Where the command line and the client library find the scheduler, and what they show it.
struct ClientConfig {
  std::vector<std::string> addr = {"127.0.0.1:50000"};  // tried in order
  std::string token;
  std::string ca_file;  // this, crt_file and key_file together; all empty: plaintext
  std::string crt_file;
  std::string key_file;
};

}  // namespace clusterd
