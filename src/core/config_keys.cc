#include "core/config_keys.h"

#include "core/limits_check.h"
#include "core/resources_check.h"

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
           "Listen beyond loopback without TLS, or over HTTP without tokens: whoever reaches the "
           "port can run jobs."),
      word(table, "local_callers", &listener.local_callers,
           "Who may call from this machine without a token or certificate: everybody, or processes "
           "of the user that runs this; the latter needs 127.0.0.1 or ::1 in addr, and no TLS.",
           {"any", kSameUser}),
  };
}

// Of a listener that asks for the other side's certificate.
Keys identity_keys(std::string_view table, ListenerConfig& listener, std::string_view authorities,
                   std::string_view cluster) {
  return {
      text(table, "ca_file", &listener.ca_file, authorities),
      text(table, "crl_file", &listener.crl_file,
           "What these have revoked (PEM); empty: nothing is."),
      text(table, "cluster", &listener.cluster, cluster, kName),
      text(table, "identities", &listener.identities,
           "Who DNS names of certificates without a SPIFFE id are: { \"db1.example.org\" = "
           "\"worker/db1\" }."),
  };
}

// What a listener of gRPC has beside that: both sides show certificates.
Keys mutual_tls_keys(ListenerConfig& listener) {
  constexpr std::string_view kTable = "grpc_server";
  Keys keys = identity_keys(
      kTable, listener,
      "Authorities that the other side's certificate must come from (PEM); needed with use_tls.",
      "The cluster that SPIFFE ids must name; empty: that of the own certificate.");
  keys.push_back(range(
      kTable, "max_connection_age", &listener.max_connection_age,
      "With TLS: connections are made anew after this long, with certificates that are good then; "
      "calls and streams on them go on.",
      kSecond, kYear));
  return keys;
}

// What strangers may take of a scheduler's gRPC.
Keys grpc_limit_keys(SchedulerConfig::GrpcServer& grpc) {
  constexpr std::string_view kTable = "grpc_server";
  return {
      range(kTable, "max_connections", &grpc.max_connections, "Connections at one time.", 1,
            1'000'000),
      range(kTable, "max_connections_per_client", &grpc.max_connections_per_client,
            "Connections at one time from one address; of more, those that have been quiet for "
            "longest "
            "are cut within a second.",
            1, 1'000'000),
      range(kTable, "max_streams_per_connection", &grpc.max_streams_per_connection,
            "Calls at one time on one connection; more wait for one of them to end.", 1, 1'000'000),
      range(kTable, "max_streams_per_client", &grpc.max_streams_per_client,
            "Followers and watchers at one time from one address; RESOURCE_EXHAUSTED.", 1,
            1'000'000),
      range(kTable, "max_request_rate", &grpc.max_request_rate,
            "Calls a second of clients at one address; RESOURCE_EXHAUSTED; 0: any. Default beyond "
            "loopback: 2000.",
            0, 10'000'000),
      range(kTable, "handshake_timeout", &grpc.handshake_timeout,
            "Longest handshake, TLS and HTTP/2; then the connection is closed.", 100 * kMillisecond,
            kHour),
      range(kTable, "idle_timeout", &grpc.idle_timeout,
            "How long a connection without a call is kept.", kSecond, kYear),
  };
}

Keys http_keys(SchedulerConfig::HttpServer& http) {
  constexpr std::string_view kTable = "http_server";
  Keys keys = listener_keys(kTable, http);
  append(keys, identity_keys(kTable, http,
                             "Authorities of callers' certificates (PEM), which are then an "
                             "alternative to tokens; empty: none is asked for.",
                             "The cluster that SPIFFE ids must name; empty: that of grpc_server."));
  append(
      keys,
      {
          text(kTable, "allowed_hosts", &http.allowed_hosts,
               "Host names by which browsers may call it, beside IP addresses and localhost."),
          text(kTable, "tokens_file", &http.tokens_file,
               "Bearer tokens and their roles; with it every caller must prove who it is."),
          text(kTable, "trusted_proxies", &http.trusted_proxies,
               "Addresses and networks of proxies that are believed in X-Forwarded-For and "
               "Clusterd-Client.",
               kNetwork),
          size(kTable, "max_body", &http.max_body_bytes, "Largest request body; beyond it 413.",
               kKiB, 16 * kMiB),
          size(kTable, "max_header", &http.max_header_bytes,
               "Largest request line and headers together; beyond it 431.", kKiB, kMiB),
          range(
              kTable, "header_timeout", &http.header_timeout,
              "Longest time from the first byte of a request to the end of its headers; then 408.",
              100 * kMillisecond, kHour),
          range(kTable, "body_timeout", &http.body_timeout,
                "Longest pause within a request body; then 408.", 100 * kMillisecond, kHour),
          range(kTable, "idle_timeout", &http.idle_timeout,
                "How long a connection without a request is kept.", 100 * kMillisecond, kDay),
          size(kTable, "min_body_rate", &http.min_body_rate_bytes,
               "Bytes a second that a request body must bring on average once body_timeout has "
               "passed, else 408; 0: any.",
               0, kTiB),
          range(kTable, "handshake_timeout", &http.handshake_timeout, "Longest TLS handshake.",
                100 * kMillisecond, kHour),
          range(kTable, "write_timeout", &http.write_timeout,
                "How long a client may take nothing of a whole answer.", 100 * kMillisecond, kHour),
          range(kTable, "stream_write_timeout", &http.stream_write_timeout,
                "How long a client may take nothing of a stream that has more for it; then the "
                "stream is cut, and goes on at its offset when it is asked for again.",
                100 * kMillisecond, kYear),
          range(kTable, "max_headers", &http.max_headers, "Headers of one request; beyond it 431.",
                10, 10'000),
          range(kTable, "max_connections", &http.max_connections,
                "Connections at one time; the open files that the system allows are a bound too.",
                1, 1'000'000),
          range(kTable, "max_connections_per_client", &http.max_connections_per_client,
                "Connections at one time from one address.", 1, 1'000'000),
          range(kTable, "max_streams_per_client", &http.max_streams_per_client,
                "Streams and waits at one time of one address; beyond it 429.", 1, 1'000'000),
          range(kTable, "max_request_rate", &http.max_request_rate,
                "Requests and connections a second from one address, beyond it 429; 0: any. Where "
                "addr is beyond loopback the default is 2000.",
                0, 10'000'000),
          size(kTable, "max_request_memory", &http.max_request_memory_bytes,
               "Requests in memory, whole or not, of all clients together; beyond it 429 for the "
               "client that holds most, else 503.",
               kMiB, kTiB),
      });
  return keys;
}

Keys scheduling_keys(SchedulerConfig::Scheduling& scheduling) {
  constexpr std::string_view kTable = "scheduling";
  return {
      range(kTable, "worker_timeout", &scheduling.worker_timeout,
            "Silence of a worker after which it gets no new work.", 100 * kMillisecond, kDay),
      range(kTable, "lost_after", &scheduling.lost_after,
            "Silence of a worker after which its jobs are LOST, or retried, unless they say "
            "otherwise; not shorter than worker_timeout.",
            100 * kMillisecond, kYear),
      range(kTable, "heartbeat_interval", &scheduling.heartbeat_interval,
            "How often workers say that they live; they do so at least three times within "
            "worker_timeout.",
            10 * kMillisecond, kHour),
      range(kTable, "start_wait", &scheduling.start_wait,
            "How long the start of a job waits for its worker's verdict.", 0, 60 * kSecond),
      range(kTable, "max_queued", &scheduling.max_queued,
            "Jobs that may wait; further ones are refused.", 1, 100'000'000),
      range(kTable, "max_schedules", &scheduling.max_schedules,
            "Schedules that may be set up; further ones are refused.", 0, 100'000),
      size(kTable, "max_args", &scheduling.max_args_bytes,
           "Arguments of a job together; INVALID_ARGUMENT.", 0, 128 * kKiB),
      size(kTable, "max_env", &scheduling.max_env_bytes,
           "Variables of a job together, names included; INVALID_ARGUMENT.", 0, 128 * kKiB),
      size(kTable, "max_stdin", &scheduling.max_stdin_bytes,
           "Standard input that a job brings along; INVALID_ARGUMENT.", 0, 64 * kKiB),
      size(kTable, "max_upload", &scheduling.max_upload_bytes,
           "Largest script that may come with its job.", kKiB, 4 * kMiB),
      size(kTable, "max_uploads", &scheduling.max_uploads_bytes,
           "Scripts that came with jobs which have not ended, together; further ones are refused.",
           4 * kMiB, kTiB),
      range(kTable, "max_losses", &scheduling.max_losses,
            "Attempts of a job that may be lost with their workers, unless it says otherwise; then "
            "it ends LOST, however many attempts are left.",
            1, 1'000),
      range(kTable, "quarantine_after", &scheduling.quarantine_after,
            "Starts that fail in a row by a worker's own fault before it is put into quarantine; "
            "0: never.",
            0, 1'000),
      range(kTable, "quarantine_window", &scheduling.quarantine_window,
            "Time within which these failures lie.", kSecond, kDay),
      range(kTable, "quarantine_backoff", &scheduling.quarantine_backoff,
            "From a quarantine's begin until a job is tried on the worker; doubled with each that "
            "fails, at most 30 s.",
            100 * kMillisecond, 30 * kSecond),
  };
}

Keys compat_keys(SchedulerConfig::Compat& compat) {
  constexpr std::string_view kTable = "compat";
  return {
      text(kTable, "enabled", &compat.enabled,
           "Serve clients and workers of the two earlier systems: /start, /stop, /query and "
           "/output at the HTTP address, their gRPC services at the gRPC address. By default false "
           "for an address beyond loopback."),
      text(kTable, "addrs", &compat.addrs,
           "Further addresses of those gRPC services, under the TLS settings of [grpc_server].",
           kListenAddress),
      text(kTable, "task_script", &compat.task_script,
           "Script below the workers' scripts_dir that a task's payload is given to as its one "
           "argument; empty: the payload is the command line of a script."),
      range(kTable, "worker_slots", &compat.worker_slots,
            "Jobs at one time on a jobscheduler worker, which does not say what it can take.", 1,
            1'000'000),
      range(kTable, "heartbeat_timeout", &compat.heartbeat_timeout,
            "Silence of a go-work member after which it has left.", 100 * kMillisecond, kDay),
  };
}

Keys audit_keys(SchedulerConfig::Audit& audit) {
  constexpr std::string_view kTable = "audit";
  return {
      text(kTable, "file", &audit.file,
           "[Audit](security.md#audit) of every call that changes something, as lines of JSON; "
           "empty: none. "
           "Default beyond loopback: audit.jsonl beside the store."),
      size(kTable, "max_size", &audit.max_size_bytes, "Size at which a new file is begun.",
           64 * kKiB, kTiB),
      range(kTable, "max_files", &audit.max_files, "Files that are kept, the newest included.", 1,
            1'000),
  };
}

ConfigKey max_age_key(RetentionConfig& retention, std::string_view comment) {
  return range("retention", "max_age", &retention.max_age, comment, 0, 100 * kYear);
}

Keys log_keys(LogConfig& log) {
  return {
      word("log", "level", &log.level,
           "Least severe messages that are written, to standard error; SIGHUP has it read again.",
           {"trace", "debug", "info", "warning", "error"}),
      word("log", "format", &log.format, "Lines for people (text), or for machines (json).",
           {"text", "json"}),
  };
}

Keys job_keys(WorkerConfig::Jobs& jobs) {
  constexpr std::string_view kTable = "jobs";
  return {
      text(kTable, "scripts_dir", &jobs.scripts_dir,
           "Folder of the scripts that jobs may run, made where it is missing; it and what is in "
           "it must be writable by nobody but root and the worker's user.",
           kNotEmpty),
      text(kTable, "data_dir", &jobs.data_dir, "Identity, journal and output of jobs.", kNotEmpty),
      text(kTable, "runtime_dir", &jobs.runtime_dir,
           "Sockets and pipes, best on tmpfs; below it each data_dir has a folder of its own. "
           "Empty: below /run/clusterd, else below data_dir."),
      text(kTable, "allowed_commands", &jobs.allowed_commands,
           "Interpreters of scripts, found when the worker starts.", kProgram),
      text(kTable, "allowed_programs", &jobs.allowed_programs,
           "Programs that may be run without a script, with any arguments.", kProgram),
      text(
          kTable, "archive_commands", &jobs.archive_commands,
          "What a job may name as output.archive_command, found when the worker starts. It is run "
          "after the job's end, as the worker's own user, with the paths of its logs as arguments.",
          kProgram),
      range(kTable, "archive_timeout", &jobs.archive_timeout,
            "Longest run of an archive command; then it is killed.", kSecond, kDay),
      text(kTable, "env_allow", &jobs.env_allow,
           "Environment variables that jobs may set although they are refused by default.",
           kVariable),
      text(kTable, "pass_env", &jobs.pass_env,
           "Variables of the worker's own environment that every job gets: [\"http_proxy\", "
           "\"AWS_*\"].",
           kVariable),
      text(kTable, "env", &jobs.env, "Environment variables of every job: { LANG = \"C.UTF-8\" }.",
           kVariable),
      text(kTable, "run_as", &jobs.run_as,
           "User that jobs run as. Empty: the worker's own, with all its rights, and a warning "
           "says so; its own name: the same without the warning."),
      text(kTable, "allowed_users", &jobs.allowed_users,
           "Users that a job may ask to run as; root only if it is named.", kNotEmpty),
      text(kTable, "allow_new_privileges", &jobs.allow_new_privileges,
           "Let jobs gain rights by set-user-ID programs such as sudo."),
      text(kTable, "scratch_dir", &jobs.scratch_dir,
           "Scratch folders of jobs; below it each data_dir has a folder of its own. Empty: "
           "data_dir/scratch."),
      text(kTable, "digests", &jobs.digests,
           "SHA-256 of the scripts that may run, as sha256sum prints it; empty: all may."),
      text(kTable, "seal_scripts", &jobs.seal_scripts,
           "Run a sealed copy of each script; with digests it is always one."),
      text(kTable, "allow_uploads", &jobs.allow_uploads,
           "Run scripts that come with their jobs, beside those in scripts_dir: whoever may start "
           "jobs may then run any code that allowed_commands can run."),
      size(kTable, "max_upload", &jobs.max_upload_bytes,
           "Largest script that may come with its job.", kKiB, 4 * kMiB),
      size(kTable, "max_output", &jobs.max_output_bytes,
           "Bytes kept of each output stream of an attempt; the oldest go first.", 64 * kKiB,
           1024 * kTiB),
      range(kTable, "full_disk_wait", &jobs.full_disk_wait,
            "How long a job waits at its pipe for a log that cannot be written, as on a full disk; "
            "then its output is thrown away or it is stopped, as its output.on_limit says.",
            0, kHour),
      range(kTable, "stop_grace", &jobs.stop_grace,
            "Time between the stop signal and KILL, where the job does not say.", 0, kDay),
  };
}

Keys limit_keys(WorkerConfig::Limits& limits) {
  constexpr std::string_view kTable = "limits";
  return {
      word(kTable, "cgroups", &limits.cgroups,
           "Control groups that keep jobs within their limits: what there is, those of version 1 "
           "only, or none.",
           {"auto", "v1", "off"}),
      text(kTable, "cgroup_parent", &limits.cgroup_parent,
           "Control group of version 2, below where these are mounted, in which those of jobs are "
           "made; empty: the one that the service manager has delegated to the worker, else for "
           "root the highest."),
      size(kTable, "memory", &limits.memory_bytes,
           "Memory of a job that does not say; 0: max_memory.", 0, 1024 * kTiB),
      size(kTable, "max_memory", &limits.max_memory_bytes, "Most that a job may have; 0: no bound.",
           0, 1024 * kTiB),
      range(kTable, "cpus", &limits.cpus,
            "Processors that a job may use that does not say; 0: max_cpus.", 0, 1'000'000),
      range(kTable, "max_cpus", &limits.max_cpus, "Most that a job may use; 0: no bound.", 0,
            1'000'000),
      range(kTable, "pids", &limits.pids,
            "Processes and threads of a job that does not say; 0: max_pids.", 0, kMostPids),
      range(kTable, "max_pids", &limits.max_pids, "Most that a job may have; 0: no bound.", 0,
            kMostPids),
      range(kTable, "open_files", &limits.open_files,
            "Open files of each process of a job that does not say; 0: max_open_files, else as the "
            "worker.",
            0, kMostOpenFiles),
      range(kTable, "max_open_files", &limits.max_open_files,
            "Most that a job may have; 0: no bound.", 0, kMostOpenFiles),
      size(kTable, "core", &limits.core_bytes,
           "Largest core file of a job that does not say; 0: none is written.", 0, 1024 * kTiB),
      size(kTable, "max_core", &limits.max_core_bytes, "Largest core file that a job may ask for.",
           0, 1024 * kTiB),
      range(kTable, "nice", &limits.nice,
            "Nice value of a job that does not say; 0: as the worker.", kLeastNice, kMostNice),
      range(kTable, "min_nice", &limits.min_nice, "Least nice value that a job may ask for.",
            kLeastNice, kMostNice),
      range(kTable, "timeout", &limits.timeout,
            "Longest run of a job that does not say; 0: max_timeout.", 0, kYear),
      range(kTable, "max_timeout", &limits.max_timeout,
            "Longest that a job may ask for; 0: no bound.", 0, kYear),
  };
}

Keys store_keys(SchedulerConfig::Store& store) {
  constexpr std::string_view kTable = "store";
  return {
      word(kTable, "backend", &store.backend,
           "Where jobs are kept: in a file of this machine, or in etcd, for several schedulers.",
           {"sqlite", "etcd"}),
      text(kTable, "path", &store.path,
           "The database file; -wal, -shm and .lock files lie beside it.", kNotEmpty),
      size(kTable, "min_free", &store.min_free_bytes,
           "Free space below which new jobs are refused; what is left is for the ends of jobs that "
           "run.",
           0, kTiB),
      text(kTable, "endpoints", &store.endpoints, "With etcd: its members, tried in order.",
           kCallAddress),
      text(kTable, "prefix", &store.prefix,
           "With etcd: what all keys of this cluster begin with; ends with '/'.", kNotEmpty),
      text(kTable, "use_tls", &store.use_tls, "With etcd: call it over TLS."),
      text(kTable, "crt_file", &store.crt_file,
           "With etcd: our certificate chain (PEM), where it asks for one."),
      text(kTable, "key_file", &store.key_file, "With etcd: our private key (PEM)."),
      text(kTable, "ca_file", &store.ca_file,
           "With etcd: authorities that its certificates must come from (PEM); needed with "
           "use_tls."),
      text(kTable, "user", &store.user, "With etcd: its user; empty: none is named.", kName),
      text(kTable, "password_file", &store.password_file,
           "With etcd: the file whose first line is the user's password."),
      range(kTable, "lease_ttl", &store.lease_ttl,
            "With etcd: how long after its last word a scheduler stays the leader; another one "
            "takes over then.",
            2 * kSecond, 60 * kSecond),
      size(kTable, "quota", &store.quota_bytes,
           "With etcd: its --quota-backend-bytes; min_free is of what is left of it.", 16 * kMiB,
           kTiB),
  };
}

}  // namespace

std::string ConfigKey::path() const {
  return (table.empty() ? "" : std::string(table) + ".") + std::string(name);
}

Keys config_keys(SchedulerConfig& config) {
  Keys keys = listener_keys("grpc_server", config.grpc_server);
  append(keys, mutual_tls_keys(config.grpc_server));
  append(keys, grpc_limit_keys(config.grpc_server));
  append(keys, http_keys(config.http_server));
  append(keys, store_keys(config.store));
  append(keys, scheduling_keys(config.scheduling));
  keys.push_back(max_age_key(config.retention,
                             "How long ended jobs are kept, their output included, and workers "
                             "that have left (at least a day)."));
  keys.push_back(range("retention", "max_events", &config.retention.max_events,
                       "Events that are kept for those who watch; older ones are 416.", 1'000,
                       100'000'000));
  keys.push_back(range("retention", "max_jobs", &config.retention.max_jobs,
                       "Ended jobs that are kept; the oldest go first.", 0, 1'000'000'000));
  append(keys, compat_keys(config.compat));
  append(keys, audit_keys(config.audit));
  append(keys, log_keys(config.log));
  return keys;
}

Keys config_keys(WorkerConfig& config) {
  Keys keys = listener_keys("grpc_server", config.grpc_server);
  append(keys, mutual_tls_keys(config.grpc_server));
  keys.push_back(text("grpc_server", "advertise_addr", &config.grpc_server.advertise_addr,
                      "Where the scheduler calls it; empty: the address it calls from.",
                      kMaybeAddress));
  keys.push_back(text("scheduler", "addr", &config.scheduler.addr,
                      "The scheduler, or several, tried in order.", kCallAddress));
  keys.push_back(
      word("scheduler", "protocol", &config.scheduler.protocol,
           "What the scheduler speaks: that of clusterd, or of one of the two earlier systems.",
           {"clusterd", "jobscheduler", "go-work"}));
  keys.push_back(text("scheduler", "task_addr", &config.scheduler.task_addr,
                      "Where a go-work scheduler is told that tasks have ended; empty: the port "
                      "after that of addr.",
                      kMaybeAddress));
  keys.push_back(text("http_server", "addr", &config.http_server.addr,
                      "The scheduler's HTTP address, which original files have; it is not used.",
                      kMaybeAddress));
  keys.push_back(
      text("compat", "enabled", &config.compat.enabled,
           "Serve the workers' gRPC services of the two earlier systems. By default false for an "
           "address beyond loopback, unless protocol is another than clusterd."));
  keys.push_back(text("compat", "task_script", &config.compat.task_script,
                      "Script that a payload which comes straight to this worker is given to as "
                      "its one argument; empty: the payload is the command line of a script."));
  keys.push_back(text("metrics", "addr", &config.metrics.addr,
                      "Where it serves /metrics and /healthz over HTTP; empty: nowhere.",
                      kMaybeAddress));
  keys.push_back(text("metrics", "allow_insecure", &config.metrics.allow_insecure,
                      "Serve them beyond loopback: whoever reaches the port can read them."));
  keys.push_back(text("worker", "name", &config.worker.name,
                      "Unique in the cluster. Empty: the name in its certificate, without one the "
                      "host's name, with -2 and so on where it is taken.",
                      kName));
  keys.push_back(text("worker", "labels", &config.worker.labels,
                      "What require of a job asks for: { zone = \"a\" }.", kName));
  keys.push_back(word("worker", "on_stop", &config.worker.on_stop,
                      "What SIGTERM does with running jobs: they go on (keep), are waited for "
                      "(drain) or are stopped (stop).",
                      {"keep", "drain", "stop"}));
  keys.push_back(range("worker", "drain_timeout", &config.worker.drain_timeout,
                       "How long drain waits; what runs then is stopped. 0: until all have ended.",
                       0, kYear));
  keys.push_back(text("worker", "taints", &config.worker.taints,
                      "Keep jobs away that do not tolerate them: [\"gpu\", \"team=ml\"].", kTaint));
  keys.push_back(range("capacity", "slots", &config.capacity.slots,
                       "Jobs at one time; 0: the number of processors.", 0, 1'000'000));
  keys.push_back(range("capacity", "cpus", &config.capacity.cpus,
                       "Processors, fractions allowed; 0: those of the machine.", 0, 1'000'000));
  keys.push_back(size("capacity", "memory", &config.capacity.memory_bytes,
                      "Memory for jobs; 0: that of the machine.", 0, 1024 * kTiB));
  keys.push_back(range("capacity", "custom", &config.capacity.custom,
                       "Units of counted resources of the site's own naming: { gpu = 2 }.", 1,
                       kMostUnits));
  append(keys, job_keys(config.jobs));
  append(keys, limit_keys(config.limits));
  keys.push_back(max_age_key(config.retention, "How long the output of ended jobs is kept."));
  append(keys, log_keys(config.log));
  return keys;
}

Keys config_keys(ClientConfig& config) {
  return {
      text("", "addr", &config.addr, "The scheduler, or several, tried in order.", kCallAddress),
      text("", "token", &config.token, "Bearer token."),
      text("", "ca_file", &config.ca_file,
           "Authorities that the scheduler's certificate must come from (PEM); empty: plaintext."),
      text("", "crt_file", &config.crt_file, "Our certificate chain (PEM), with ca_file."),
      text("", "key_file", &config.key_file, "Our private key (PEM), with crt_file."),
  };
}

}  // namespace clusterd
