#include "core/config_load.h"

#include <cerrno>
#include <fstream>
#include <sstream>

#include "core/address.h"
#include "core/config_keys.h"
#include "core/config_reader.h"
#include "core/units.h"

namespace clusterd {
namespace {

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

// Beyond loopback a listener must know its callers; `remedy` says how it can.
void check_exposure(const ListenerConfig& listener, const std::string& table, bool knows_callers,
                    std::string_view remedy, ConfigReport& report) {
  const auto address = parse_address(listener.addr);
  if (!address.ok() || knows_callers || listener.allow_insecure) return;
  if (is_loopback(address->host)) return;
  report.add_error(table + ".addr",
                   "\"" + listener.addr +
                       "\" can be reached from other machines, and whoever reaches it can run "
                       "jobs: " +
                       std::string(remedy) + "use a loopback address, or insist with " +
                       "allow_insecure = true");
}

void check_grpc_listener(const ListenerConfig& listener, ConfigReport& report) {
  check_tls_files(listener, "grpc_server", /*needs_ca=*/true, report);
  check_exposure(listener, "grpc_server", listener.use_tls,
                 "set use_tls = true with crt_file, key_file and ca_file, or ", report);
}

void check(const SchedulerConfig& config, ConfigReport& report) {
  check_grpc_listener(config.grpc_server, report);
  check_tls_files(config.http_server, "http_server", /*needs_ca=*/false, report);
  // TLS alone does not say who calls, and there are no tokens yet.
  check_exposure(config.http_server, "http_server", /*knows_callers=*/false, "", report);
  if (!config.http_server.tokens_file.empty()) {
    report.add_error("http_server.tokens_file", "is not available in this version; leave it out");
  }
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

void check(const WorkerConfig& config, ConfigReport& report) {
  check_grpc_listener(config.grpc_server, report);
}

void check(const ClientConfig& config, ConfigReport& report) {
  const bool any = !config.ca_file.empty() || !config.crt_file.empty() || !config.key_file.empty();
  const bool all = !config.ca_file.empty() && !config.crt_file.empty() && !config.key_file.empty();
  if (any == all) return;
  const std::string key = !config.ca_file.empty()    ? "ca_file"
                          : !config.crt_file.empty() ? "crt_file"
                                                     : "key_file";
  report.add_error(key, "TLS needs ca_file, crt_file and key_file together");
}

// The original's endpoints know no callers: beyond loopback they are served on request only.
void set_derived_defaults(SchedulerConfig& config, const ConfigReport& report) {
  if (report.values.contains("compat.enabled")) return;
  const auto address = parse_address(config.http_server.addr);
  config.compat.enabled = address.ok() && is_loopback(address->host);
}
void set_derived_defaults(const WorkerConfig& /*config*/, const ConfigReport& /*report*/) {}
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
