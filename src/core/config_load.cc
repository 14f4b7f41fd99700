#include "core/config_load.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "core/address.h"
#include "core/config_keys.h"
#include "core/config_reader.h"
#include "core/job_spec_check.h"
#include "core/limits_check.h"
#include "core/units.h"

namespace clusterd {
namespace {

constexpr uint32_t kStrangersRequestRate = 2'000;
constexpr const char* kAuditFile = "audit.jsonl";

absl::StatusOr<std::string> read_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (file) content << file.rdbuf();
  // An empty file sets the stream's failbit, which is no failure.
  if (!file.is_open() || file.bad() || errno == EISDIR) {
    return absl::ErrnoToStatus(errno == 0 ? EIO : errno, "config file \"" + path + "\"");
  }
  return content.str();
}

void check_tls_files(const ListenerConfig& listener, const std::string& table, bool needs_ca,
                     ConfigReport& report) {
  if (!listener.use_tls) return;
  std::string missing;
  if (listener.crt_file.empty()) missing += ", crt_file";
  if (listener.key_file.empty()) missing += ", key_file";
  if (needs_ca && listener.ca_file.empty()) missing += ", ca_file";
  if (missing.empty()) return;
  report.add_error(table + ".use_tls",
                   "true needs " + missing.substr(2) + " in [" + table + "] too");
}

// What a store in etcd needs.
void check_store(const SchedulerConfig::Store& store, ConfigReport& report) {
  if (store.backend != "etcd") return;
  if (store.endpoints.empty()) {
    report.add_error("store.endpoints", "backend = \"etcd\" needs one at least");
  }
  if (!store.prefix.ends_with('/')) {
    report.add_error("store.prefix", "\"" + store.prefix + "\" must end with '/'");
  }
  if (store.use_tls && store.ca_file.empty()) {
    report.add_error("store.use_tls", "true needs ca_file in [store] too");
  }
  if (!store.use_tls && !(store.crt_file + store.key_file + store.ca_file).empty()) {
    report.add_error("store.use_tls", "crt_file, key_file and ca_file need use_tls = true");
  }
  if (store.crt_file.empty() != store.key_file.empty()) {
    report.add_error(store.crt_file.empty() ? "store.key_file" : "store.crt_file",
                     "crt_file and key_file go together");
  }
  if (store.user.empty() != store.password_file.empty()) {
    report.add_error(store.user.empty() ? "store.password_file" : "store.user",
                     "user and password_file go together");
  }
}

// Beyond loopback a listener must know its callers; `remedy` says how it can.
void check_exposure(const ListenerConfig& listener, const std::string& key, bool knows_callers,
                    std::string_view remedy, ConfigReport& report) {
  const auto address = parse_address(listener.addr);
  if (!address.ok() || knows_callers || listener.allow_insecure) return;
  if (is_loopback(address->host)) return;
  report.add_error(key, "\"" + listener.addr +
                            "\" can be reached from other machines, and whoever reaches it can run "
                            "jobs: " +
                            std::string(remedy) + "use a loopback address, or insist with " +
                            "allow_insecure = true");
}

// Users can be told apart where the kernel knows both ends of a connection.
void check_local_callers(const ListenerConfig& listener, const std::string& table,
                         ConfigReport& report) {
  const auto address = parse_address(listener.addr);
  if (listener.local_callers != kSameUser || !address.ok()) return;
  if (is_loopback(address->host) && is_ip_literal(address->host)) return;
  report.add_error(table + ".local_callers", "\"same_user\" needs 127.0.0.1 or ::1 in addr");
}

// With TLS everybody shows a certificate, or a token.
void check_plain_callers(const ListenerConfig& grpc, ConfigReport& report) {
  if (!grpc.use_tls || grpc.local_callers != kSameUser) return;
  report.add_error("grpc_server.local_callers",
                   "\"same_user\" needs use_tls = false: with TLS callers show certificates");
}

// Certificates are shown with TLS, and lists belong to authorities.
void check_client_certificates(const SchedulerConfig::HttpServer& http, ConfigReport& report) {
  if (!http.ca_file.empty() && !http.use_tls) {
    report.add_error("http_server.ca_file", "needs use_tls = true in [http_server]");
  }
  if (!http.crl_file.empty() && http.ca_file.empty()) {
    report.add_error("http_server.crl_file", "needs ca_file in [http_server] too");
  }
}

void check_grpc_listener(const ListenerConfig& listener, ConfigReport& report) {
  check_local_callers(listener, "grpc_server", report);
  check_plain_callers(listener, report);
  check_tls_files(listener, "grpc_server", /*needs_ca=*/true, report);
  check_exposure(listener, "grpc_server.addr", listener.use_tls,
                 "set use_tls = true with crt_file, key_file and ca_file, or ", report);
}

void check_request_memory(const SchedulerConfig::HttpServer& http, ConfigReport& report) {
  // A head is counted twice: as it came, and parsed.
  const uint64_t largest = http.max_body_bytes + 2 * http.max_header_bytes;
  if (http.max_request_memory_bytes >= largest) return;
  const bool is_set = report.values.contains("http_server.max_request_memory");
  report.add_error(is_set ? "http_server.max_request_memory" : "http_server.max_body",
                   "max_request_memory (" + std::to_string(http.max_request_memory_bytes) +
                       " bytes) must hold max_body and twice max_header (" +
                       std::to_string(largest) + " bytes)");
}

// One program at a time can listen at an address.
bool same_port(const std::string& a, const std::string& b) {
  const auto first = parse_address(a);
  const auto second = parse_address(b);
  if (!first.ok() || !second.ok() || first->port == 0 || first->port != second->port) return false;
  const auto is_any = [](const std::string& host) {
    return host.empty() || host == "0.0.0.0" || host == "::";
  };
  return first->host == second->host || is_any(first->host) || is_any(second->host) ||
         (is_loopback(first->host) && is_loopback(second->host));
}

void check_task_script(const std::string& script, ConfigReport& report) {
  if (script.empty()) return;
  const absl::Status status = check_relative_path("", script);
  if (!status.ok()) report.add_error("compat.task_script", std::string(status.message().substr(2)));
}

void check_compat(const SchedulerConfig& config, ConfigReport& report) {
  check_task_script(config.compat.task_script, report);
  if (!config.compat.addrs.empty() && !config.compat.enabled) {
    report.add_error("compat.addrs", "is set, and compat.enabled is false");
  }
  for (const std::string& addr : config.compat.addrs) {
    ListenerConfig listener = config.grpc_server;
    listener.addr = addr;
    check_exposure(listener, "compat.addrs", listener.use_tls,
                   "set [grpc_server] use_tls = true, which holds here too, or ", report);
    for (const auto& [key, other] : {std::pair("grpc_server.addr", config.grpc_server.addr),
                                     std::pair("http_server.addr", config.http_server.addr)}) {
      if (!same_port(addr, other)) continue;
      report.add_error("compat.addrs", "\"" + addr + "\" is " + key + " too");
    }
  }
}

void check(const SchedulerConfig& config, ConfigReport& report) {
  check_grpc_listener(config.grpc_server, report);
  check_compat(config, report);
  if (same_port(config.grpc_server.addr, config.http_server.addr)) {
    report.add_error("http_server.addr",
                     "\"" + config.http_server.addr +
                         "\" is grpc_server.addr too, and each needs "
                         "a port of its own; the defaults are \"127.0.0.1:3000\" and "
                         "\"127.0.0.1:50000\"");
  }
  check_tls_files(config.http_server, "http_server", /*needs_ca=*/false, report);
  // TLS alone does not say who calls.
  check_exposure(config.http_server, "http_server.addr",
                 config.http_server.use_tls && !(config.http_server.tokens_file.empty() &&
                                                 config.http_server.ca_file.empty()),
                 "set use_tls = true with crt_file and key_file, and tokens_file (made with "
                 "`clusterd token create`) or ca_file, or ",
                 report);
  check_client_certificates(config.http_server, report);
  check_local_callers(config.http_server, "http_server", report);
  check_request_memory(config.http_server, report);
  check_store(config.store, report);
  const SchedulerConfig::Scheduling& times = config.scheduling;
  if (times.heartbeat_interval >= times.worker_timeout) {
    const bool is_set = report.values.contains("scheduling.heartbeat_interval");
    report.add_error(is_set ? "scheduling.heartbeat_interval" : "scheduling.worker_timeout",
                     "heartbeat_interval (" + format_duration(times.heartbeat_interval) +
                         ") must be shorter than worker_timeout (" +
                         format_duration(times.worker_timeout) + ")");
  }
  if (times.lost_after < times.worker_timeout) {
    const bool is_set = report.values.contains("scheduling.lost_after");
    report.add_error(is_set ? "scheduling.lost_after" : "scheduling.worker_timeout",
                     "lost_after (" + format_duration(times.lost_after) +
                         ") must not be shorter than worker_timeout (" +
                         format_duration(times.worker_timeout) + ")");
  }
}

void check_addresses(const WorkerConfig& config, ConfigReport& report) {
  for (const std::string& addr : config.scheduler.addr) {
    if (same_port(addr, config.http_server.addr)) {
      report.add_error("scheduler.addr",
                       "\"" + addr +
                           "\" is the scheduler's HTTP address, http_server.addr; "
                           "a worker needs its gRPC address, by default "
                           "\"127.0.0.1:50000\"");
    }
    if (same_port(addr, config.grpc_server.addr)) {
      report.add_error("grpc_server.addr",
                       "\"" + config.grpc_server.addr +
                           "\" is the scheduler's address, scheduler.addr, too; "
                           "a worker needs a port of its own, by default "
                           "\"127.0.0.1:30000\"");
    }
  }
  if (same_port(config.grpc_server.addr, config.http_server.addr)) {
    report.add_error("grpc_server.addr",
                     "\"" + config.grpc_server.addr +
                         "\" is the scheduler's HTTP address, http_server.addr, "
                         "too; a worker needs a port of its own, by default "
                         "\"127.0.0.1:30000\"");
  }
}

// A default must be one that jobs may ask for.
template <typename Number>
void check_ceiling(const std::string& name, Number value, Number ceiling, ConfigReport& report) {
  if (ceiling == Number{} || value <= ceiling) return;
  const bool is_set = report.values.contains("limits." + name);
  report.add_error("limits." + std::string(is_set ? "" : "max_") + name,
                   name + " must not be above max_" + name);
}

void check_limits(const WorkerConfig::Limits& limits, ConfigReport& report) {
  check_ceiling("memory", limits.memory_bytes, limits.max_memory_bytes, report);
  check_ceiling("cpus", limits.cpus, limits.max_cpus, report);
  check_ceiling("pids", limits.pids, limits.max_pids, report);
  check_ceiling("open_files", limits.open_files, limits.max_open_files, report);
  check_ceiling("timeout", limits.timeout, limits.max_timeout, report);
  if (limits.core_bytes > limits.max_core_bytes) {
    report.add_error("limits.core", "core must not be above max_core");
  }
  if (limits.nice != 0 && limits.nice < limits.min_nice) {
    report.add_error("limits.nice", "nice must not be below min_nice");
  }
  for (const auto& [name, bytes] : {std::pair("memory", limits.memory_bytes),
                                    std::pair("max_memory", limits.max_memory_bytes)}) {
    if (bytes == 0 || bytes >= kLeastMemoryBytes) continue;
    report.add_error(std::string("limits.") + name,
                     "allowed are 0, for none, and " + format_size(kLeastMemoryBytes) + " or more");
  }
}

// What it shows holds no secrets, yet asks nobody who he is.
void check_metrics(const WorkerConfig& config, ConfigReport& report) {
  const std::string& addr = config.metrics.addr;
  const auto address = parse_address(addr);
  if (!address.ok()) return;
  if (!is_loopback(address->host) && !config.metrics.allow_insecure) {
    report.add_error(
        "metrics.addr",
        "\"" + addr +
            "\" can be reached from other machines, and whoever reaches it can read "
            "the metrics: use a loopback address, or insist with allow_insecure = true");
  }
  if (same_port(addr, config.grpc_server.addr)) {
    report.add_error("metrics.addr", "\"" + addr + "\" is grpc_server.addr too");
  }
}

void check(const WorkerConfig& config, ConfigReport& report) {
  check_grpc_listener(config.grpc_server, report);
  check_addresses(config, report);
  check_metrics(config, report);
  check_task_script(config.compat.task_script, report);
  const std::string& protocol = config.scheduler.protocol;
  if (protocol != "go-work" && !config.scheduler.task_addr.empty()) {
    report.add_error("scheduler.task_addr", "is for protocol = \"go-work\" alone");
  }
  if (protocol != "clusterd" && !config.compat.enabled) {
    report.add_error("compat.enabled", "false: a scheduler of the protocol " + protocol +
                                           " could not call this worker");
  }
  check_limits(config.limits, report);
}

void check(const ClientConfig& config, ConfigReport& report) {
  const bool has_crt = !config.crt_file.empty();
  const bool has_key = !config.key_file.empty();
  if (has_crt != has_key) {
    report.add_error(has_crt ? "crt_file" : "key_file", "crt_file and key_file go together");
  } else if (has_crt && config.ca_file.empty()) {
    report.add_error("crt_file", "TLS needs ca_file too");
  }
}

bool is_loopback_address(const std::string& text) {
  const auto address = parse_address(text);
  return address.ok() && is_loopback(address->host);
}

// The earlier systems' programs say nothing of who they are: beyond loopback they are served on
// request only.
void set_derived_defaults(SchedulerConfig& config, const ConfigReport& report) {
  const bool is_local = is_loopback_address(config.http_server.addr);
  // Callers on this machine could take its processors anyway, so only strangers have a bound.
  if (!report.values.contains("http_server.max_request_rate") && !is_local) {
    config.http_server.max_request_rate = kStrangersRequestRate;
  }
  const bool is_grpc_local = is_loopback_address(config.grpc_server.addr);
  if (!report.values.contains("grpc_server.max_request_rate") && !is_grpc_local) {
    config.grpc_server.max_request_rate = kStrangersRequestRate;
  }
  if (!report.values.contains("audit.file") && !(is_local && is_grpc_local)) {
    config.audit.file =
        (std::filesystem::path(config.store.path).parent_path() / kAuditFile).native();
  }
  config.compat.over_grpc = config.compat.enabled;
  if (report.values.contains("compat.enabled")) return;
  config.compat.enabled = is_local;
  config.compat.over_grpc = is_grpc_local || !config.compat.addrs.empty();
}

// A file of the original worker: its keys and no others.
bool is_original(const ConfigReport& report) {
  constexpr std::array<std::string_view, 6> kKeys = {"grpc_server.addr",     "grpc_server.use_tls",
                                                     "grpc_server.crt_file", "grpc_server.key_file",
                                                     "http_server.addr",     "scheduler.addr"};
  return report.values.contains("grpc_server.use_tls") &&
         report.values.contains("scheduler.addr") &&
         std::all_of(report.values.begin(), report.values.end(), [&kKeys](const auto& value) {
           return std::find(kKeys.begin(), kKeys.end(), value.first) != kKeys.end();
         });
}

void set_derived_defaults(WorkerConfig& config, const ConfigReport& report) {
  if (!report.values.contains("compat.enabled")) {
    config.compat.enabled =
        is_loopback_address(config.grpc_server.addr) || config.scheduler.protocol != "clusterd";
  }
  if (!is_original(report)) return;
  config.is_original_file = true;
  config.jobs.scripts_dir = ".";  // that worker ran whatever path it was given
}
void set_derived_defaults(const ClientConfig& /*config*/, const ConfigReport& /*report*/) {}

template <typename Config>
absl::StatusOr<Config> parse(std::string_view text, std::string_view file) {
  Config config;
  ConfigReport report = read_config(text, config_keys(config));
  check(config, report);
  set_derived_defaults(config, report);
  if (const absl::Status status = report.status(file); !status.ok()) return status;
  return config;
}

template <typename Config>
absl::StatusOr<Config> load(const std::string& path) {
  const auto text = read_file(path);
  if (!text.ok()) return text.status();
  return parse<Config>(*text, path);
}

}  // namespace

absl::StatusOr<SchedulerConfig> parse_scheduler_config(std::string_view text,
                                                       std::string_view file) {
  return parse<SchedulerConfig>(text, file);
}

absl::StatusOr<WorkerConfig> parse_worker_config(std::string_view text, std::string_view file) {
  return parse<WorkerConfig>(text, file);
}

absl::StatusOr<ClientConfig> parse_client_config(std::string_view text, std::string_view file) {
  return parse<ClientConfig>(text, file);
}

absl::StatusOr<SchedulerConfig> load_scheduler_config(const std::string& path) {
  return load<SchedulerConfig>(path);
}

absl::StatusOr<WorkerConfig> load_worker_config(const std::string& path) {
  return load<WorkerConfig>(path);
}

absl::StatusOr<ClientConfig> load_client_config(const std::string& path) {
  return load<ClientConfig>(path);
}

}  // namespace clusterd
