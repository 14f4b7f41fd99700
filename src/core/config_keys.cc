#include "core/config_keys.h"

namespace clusterd {
namespace {

using enum ConfigForm;
using Keys = std::vector<ConfigKey>;

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1'000 * kMillisecond;
constexpr int64_t kHour = 3'600 * kSecond;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kYear = 365 * kDay;
constexpr int64_t kKiB = 1LL << 10;
constexpr int64_t kMiB = 1LL << 20;
constexpr int64_t kTiB = 1LL << 40;

ConfigKey text(std::string_view table, std::string_view name, ConfigKey::Target target,
               std::string_view comment, ConfigForm form = kPlain) {
  return {.table = table, .name = name, .target = target, .comment = comment, .form = form};
}

ConfigKey word(std::string_view table, std::string_view name, ConfigKey::Target target,
               std::string_view comment, std::vector<std::string_view> words) {
  ConfigKey key = text(table, name, target, comment, kWord);
  key.words = std::move(words);
  return key;
}

ConfigKey range(std::string_view table, std::string_view name, ConfigKey::Target target,
                std::string_view comment, int64_t min, int64_t max) {
  ConfigKey key = text(table, name, target, comment);
  key.min = min;
  key.max = max;
  return key;
}

ConfigKey size(std::string_view table, std::string_view name, ConfigKey::Target target,
               std::string_view comment, int64_t min, int64_t max) {
  ConfigKey key = range(table, name, target, comment, min, max);
  key.form = kSize;
  return key;
}

void append(Keys& keys, Keys more) {
  for (ConfigKey& key : more) keys.push_back(std::move(key));
}

Keys listener_keys(std::string_view table, ListenerConfig& listener) {
  return {
      text(table, "addr", &listener.addr, "Where it listens; port 0: any free one.",
           kListenAddress),
      text(table, "use_tls", &listener.use_tls, "Serve TLS only."),
      text(table, "crt_file", &listener.crt_file, "Certificate chain (PEM); needed with use_tls."),
      text(table, "key_file", &listener.key_file, "Private key (PEM); needed with use_tls."),
      text(table, "allow_insecure", &listener.allow_insecure,
           "Listen beyond loopback without TLS: whoever reaches the port can run jobs."),
  };
}

ConfigKey ca_key(std::string_view table, ListenerConfig& listener) {
  return text(table, "ca_file", &listener.ca_file,
              "Authority that the other side's certificate must come from (PEM); needed with "
              "use_tls.");
}

Keys http_keys(SchedulerConfig::HttpServer& http) {
  constexpr std::string_view kTable = "http_server";
  Keys keys = listener_keys(kTable, http);
  append(
      keys,
      {
          text(kTable, "allowed_hosts", &http.allowed_hosts,
               "Host names by which browsers may call it, beside IP addresses and localhost."),
          text(kTable, "tokens_file", &http.tokens_file, "Bearer tokens and their roles."),
          size(kTable, "max_body", &http.max_body_bytes, "Largest request body.", kKiB, 16 * kMiB),
          size(kTable, "max_header", &http.max_header_bytes,
               "Largest request line and headers together.", kKiB, kMiB),
          range(kTable, "header_timeout", &http.header_timeout,
                "From the first byte of a request to the end of its headers.", 100 * kMillisecond,
                kHour),
          range(kTable, "body_timeout", &http.body_timeout, "Longest pause within a request body.",
                100 * kMillisecond, kHour),
          range(kTable, "idle_timeout", &http.idle_timeout,
                "How long a connection without a request is kept.", 100 * kMillisecond, kDay),
          range(kTable, "max_connections", &http.max_connections, "Connections at one time.", 1,
                1'000'000),
      });
  return keys;
}

Keys scheduling_keys(SchedulerConfig::Scheduling& scheduling) {
  constexpr std::string_view kTable = "scheduling";
  return {
      range(kTable, "worker_timeout", &scheduling.worker_timeout,
            "Silence of a worker after which it gets no new work.", 100 * kMillisecond, kDay),
      range(kTable, "lost_after", &scheduling.lost_after,
            "Silence of a worker after which its jobs are LOST, or retried.", 100 * kMillisecond,
            kYear),
      range(kTable, "heartbeat_interval", &scheduling.heartbeat_interval,
            "How often workers say that they live.", 10 * kMillisecond, kHour),
      range(kTable, "start_wait", &scheduling.start_wait,
            "How long the start of a job waits for its worker's verdict.", 0, 60 * kSecond),
      range(kTable, "max_queued", &scheduling.max_queued,
            "Jobs that may wait; further ones are refused.", 1, 100'000'000),
  };
}

ConfigKey max_age_key(RetentionConfig& retention) {
  return range("retention", "max_age", &retention.max_age,
               "How long ended jobs and their output are kept.", 0, 100 * kYear);
}

ConfigKey log_key(LogConfig& log) {
  return word("log", "level", &log.level, "Least severe messages that are written.",
              {"trace", "debug", "info", "warning", "error"});
}

Keys job_keys(WorkerConfig::Jobs& jobs) {
  constexpr std::string_view kTable = "jobs";
  return {
      text(kTable, "scripts_dir", &jobs.scripts_dir, "Folder of the scripts that jobs may run.",
           kNotEmpty),
      text(kTable, "data_dir", &jobs.data_dir, "Identity, journal and output of jobs.", kNotEmpty),
      text(kTable, "runtime_dir", &jobs.runtime_dir,
           "Sockets and FIFOs, best on tmpfs; empty: /run/clusterd/…, else below data_dir."),
      text(kTable, "allowed_commands", &jobs.allowed_commands, "Interpreters that may run scripts.",
           kProgram),
      text(kTable, "allowed_programs", &jobs.allowed_programs,
           "Programs that may be run without a script, with any arguments.", kProgram),
      text(kTable, "env_allow", &jobs.env_allow,
           "Environment variables that jobs may set although they are refused by default.",
           kVariable),
      size(kTable, "max_output", &jobs.max_output_bytes,
           "Bytes kept of each output stream of a job.", 64 * kKiB, 1024 * kTiB),
      range(kTable, "stop_grace", &jobs.stop_grace,
            "Time between the stop signal and KILL, where the job does not say.", 0, kDay),
  };
}

}  // namespace

std::string ConfigKey::path() const {
  return (table.empty() ? "" : std::string(table) + ".") + std::string(name);
}

Keys config_keys(SchedulerConfig& config) {
  Keys keys = listener_keys("grpc_server", config.grpc_server);
  keys.push_back(ca_key("grpc_server", config.grpc_server));
  append(keys, http_keys(config.http_server));
  keys.push_back(
      word("store", "backend", &config.store.backend, "Where jobs are kept.", {"sqlite"}));
  keys.push_back(text("store", "path", &config.store.path, "The database file.", kNotEmpty));
  keys.push_back(size("store", "min_free", &config.store.min_free_bytes,
                      "Free space below which jobs are refused.", 0, kTiB));
  append(keys, scheduling_keys(config.scheduling));
  keys.push_back(max_age_key(config.retention));
  keys.push_back(range("retention", "max_events", &config.retention.max_events,
                       "Events that are kept for those who watch; the oldest go first.", 1'000,
                       100'000'000));
  keys.push_back(range("retention", "max_jobs", &config.retention.max_jobs,
                       "Ended jobs that are kept; the oldest go first.", 0, 1'000'000'000));
  keys.push_back(text("compat", "enabled", &config.compat.enabled,
                      "Serve the original's HTTP endpoints /start, /stop, /query and /output."));
  keys.push_back(log_key(config.log));
  return keys;
}

Keys config_keys(WorkerConfig& config) {
  Keys keys = listener_keys("grpc_server", config.grpc_server);
  keys.push_back(ca_key("grpc_server", config.grpc_server));
  keys.push_back(text("grpc_server", "advertise_addr", &config.grpc_server.advertise_addr,
                      "Where the scheduler calls it; empty: the address it calls from.",
                      kMaybeAddress));
  keys.push_back(text("scheduler", "addr", &config.scheduler.addr,
                      "The scheduler, or several, tried in order.", kCallAddress));
  keys.push_back(text("worker", "name", &config.worker.name,
                      "Unique in the cluster; empty: the host's name.", kName));
  keys.push_back(text("worker", "labels", &config.worker.labels,
                      "For the choice of workers: { zone = \"a\" }.", kName));
  keys.push_back(word("worker", "on_stop", &config.worker.on_stop,
                      "What SIGTERM does with running jobs: they go on, are waited for, or are "
                      "stopped.",
                      {"keep", "drain", "stop"}));
  keys.push_back(range("capacity", "slots", &config.capacity.slots,
                       "Jobs at one time; 0: the number of processors.", 0, 1'000'000));
  keys.push_back(range("capacity", "cpus", &config.capacity.cpus,
                       "Processors, fractions allowed; 0: those of the machine.", 0, 1'000'000));
  keys.push_back(size("capacity", "memory", &config.capacity.memory_bytes,
                      "Memory for jobs; 0: that of the machine.", 0, 1024 * kTiB));
  append(keys, job_keys(config.jobs));
  keys.push_back(max_age_key(config.retention));
  keys.push_back(log_key(config.log));
  return keys;
}

Keys config_keys(ClientConfig& config) {
  return {
      text("", "addr", &config.addr, "The scheduler, or several, tried in order.", kCallAddress),
      text("", "token", &config.token, "Bearer token."),
      text("", "ca_file", &config.ca_file, "Authority of the scheduler's certificate (PEM)."),
      text("", "crt_file", &config.crt_file, "Our certificate chain (PEM)."),
      text("", "key_file", &config.key_file, "Our private key (PEM)."),
  };
}

}  // namespace clusterd
