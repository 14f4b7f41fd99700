#include "worker/limits_policy.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/limits_check.h"
#include "core/proto_time.h"
#include "core/units.h"

namespace clusterd {
namespace {

constexpr int kCapSysNice = 23;
constexpr int kCapSysResource = 24;
constexpr int kNiceOfLimit = 20;  // RLIMIT_NICE is 20 less the nice value

uint64_t effective_capabilities() {
  std::ifstream status("/proc/self/status");
  uint64_t mask = 0;
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("CapEff:")) continue;
    const size_t digits = line.find_first_not_of(" \t", 7);
    if (digits == std::string::npos) break;
    (void)std::from_chars(line.data() + digits, line.data() + line.size(), mask, 16);
  }
  return mask;
}

uint64_t hard_limit(__rlimit_resource resource) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return 0;
  return limit.rlim_max == RLIM_INFINITY ? kMostBytes : limit.rlim_max;
}

int32_t least_nice(bool is_privileged) {
  if (is_privileged) return kLeastNice;
  errno = 0;
  const int own = ::getpriority(PRIO_PROCESS, 0);
  rlimit limit{};
  (void)::getrlimit(RLIMIT_NICE, &limit);
  const auto allowed = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 40));
  return std::min(errno == 0 ? own : 0, kNiceOfLimit - allowed);
}

// "67108864 (64MiB)".
std::string sized(uint64_t bytes) {
  const std::string number = std::to_string(bytes);
  const std::string size = format_size(bytes);
  return size == number ? number : number + " (" + size + ")";
}

absl::Status too_much(std::string_view field, const std::string& asked, std::string_view key,
                      const std::string& ceiling) {
  return invalid_field(
      field, absl::StrCat(asked, " is above this worker's ", std::string(key), " of ", ceiling));
}

// The default, else the ceiling; 0: neither.
template <typename Number>
Number or_ceiling(Number value, Number ceiling) {
  return value != Number{} ? value : ceiling;
}

}  // namespace

SystemBounds read_system_bounds() {
  const uint64_t capabilities = effective_capabilities();
  const bool may_raise = (capabilities >> kCapSysResource & 1) != 0;
  SystemBounds bounds;
  bounds.open_files = hard_limit(RLIMIT_NOFILE);
  bounds.core_bytes = may_raise ? kMostBytes : hard_limit(RLIMIT_CORE);
  bounds.least_nice = least_nice((capabilities >> kCapSysNice & 1) != 0);
  std::ifstream file("/proc/sys/fs/nr_open");
  uint64_t most = 0;
  if (may_raise && file >> most) bounds.open_files = most;
  return bounds;
}

std::vector<internal::UnenforcedLimit> unenforced_limits(const internal::LauncherHello& launcher) {
  if (launcher.enforces_limits()) {
    return {launcher.unenforced_limits().begin(), launcher.unenforced_limits().end()};
  }
  std::vector<internal::UnenforcedLimit> unenforced;
  for (const std::string& name : all_limits()) {
    internal::UnenforcedLimit& limit = unenforced.emplace_back();
    limit.set_field(name);
    limit.set_reason("the launcher that runs is of an earlier version");
  }
  return unenforced;
}

absl::Status LimitsPolicy::check_ceilings(const v1::Limits& asked) const {
  const WorkerConfig::Limits& most = config_;
  if (most.max_memory_bytes != 0 && asked.memory_bytes() > most.max_memory_bytes) {
    return too_much("limits.memory_bytes", sized(asked.memory_bytes()), "limits.max_memory",
                    sized(most.max_memory_bytes));
  }
  if (most.max_cpus > 0 && asked.cpus() > most.max_cpus) {
    return too_much("limits.cpus", absl::StrCat(asked.cpus()), "limits.max_cpus",
                    absl::StrCat(most.max_cpus));
  }
  if (most.max_pids != 0 && asked.pids() > most.max_pids) {
    return too_much("limits.pids", absl::StrCat(asked.pids()), "limits.max_pids",
                    absl::StrCat(most.max_pids));
  }
  if (most.max_open_files != 0 && asked.open_files() > most.max_open_files) {
    return too_much("limits.open_files", absl::StrCat(asked.open_files()), "limits.max_open_files",
                    absl::StrCat(most.max_open_files));
  }
  if (asked.core_bytes() > most.max_core_bytes) {
    return too_much("limits.core_bytes", sized(asked.core_bytes()), "limits.max_core",
                    sized(most.max_core_bytes));
  }
  if (asked.has_nice() && asked.nice() < most.min_nice) {
    return invalid_field("limits.nice", absl::StrCat(asked.nice(), " is below this worker's ",
                                                     "limits.min_nice of ", most.min_nice));
  }
  return absl::OkStatus();
}

absl::Status LimitsPolicy::check_system(const v1::Limits& asked) const {
  if (asked.open_files() > system_.open_files) {
    return invalid_field("limits.open_files",
                         absl::StrCat(asked.open_files(), " is above the ", system_.open_files,
                                      " that the system allows this worker's jobs"));
  }
  if (asked.core_bytes() > system_.core_bytes) {
    return invalid_field("limits.core_bytes",
                         absl::StrCat(asked.core_bytes(), " is above the ", system_.core_bytes,
                                      " that the system allows this worker's jobs"));
  }
  if (asked.has_nice() && asked.nice() < system_.least_nice) {
    return invalid_field("limits.nice",
                         absl::StrCat(asked.nice(), " is below the ", system_.least_nice,
                                      " that the system allows this worker's jobs"));
  }
  return absl::OkStatus();
}

v1::Limits LimitsPolicy::defaults() const {
  v1::Limits limits;
  if (const auto bytes = or_ceiling(config_.memory_bytes, config_.max_memory_bytes); bytes != 0) {
    limits.set_memory_bytes(bytes);
  }
  if (const double cpus = or_ceiling(config_.cpus, config_.max_cpus); cpus > 0) {
    limits.set_cpus(cpus);
  }
  if (const auto pids = or_ceiling(config_.pids, config_.max_pids); pids != 0) {
    limits.set_pids(pids);
  }
  if (const auto files = or_ceiling(config_.open_files, config_.max_open_files); files != 0) {
    limits.set_open_files(static_cast<uint32_t>(std::min<uint64_t>(files, system_.open_files)));
  }
  limits.set_core_bytes(std::min(config_.core_bytes, system_.core_bytes));
  if (config_.nice != 0) limits.set_nice(std::max(config_.nice, system_.least_nice));
  return limits;
}

absl::StatusOr<v1::Limits> LimitsPolicy::limits_of(
    const v1::JobSpec& spec, const std::vector<internal::UnenforcedLimit>& unenforced) const {
  const v1::Limits& asked = spec.limits();
  const std::vector<std::string> names = names_of(asked);
  for (const internal::UnenforcedLimit& limit : unenforced) {
    if (std::find(names.begin(), names.end(), limit.field()) == names.end()) continue;
    return field_error(absl::StatusCode::kFailedPrecondition,
                       absl::StrCat("limits.", limit.field()),
                       absl::StrCat("this worker cannot enforce it: ", limit.reason()));
  }
  absl::Status status = check_ceilings(asked);
  if (status.ok()) status = check_system(asked);
  if (!status.ok()) return status;
  v1::Limits limits = defaults();
  for (const internal::UnenforcedLimit& limit : unenforced) {
    const auto* field = v1::Limits::descriptor()->FindFieldByName(limit.field());
    if (field != nullptr) v1::Limits::GetReflection()->ClearField(&limits, field);
  }
  limits.MergeFrom(asked);
  return limits;
}

absl::StatusOr<std::optional<google::protobuf::Duration>> LimitsPolicy::timeout_of(
    const v1::JobSpec& spec) const {
  const auto asked = from_proto(spec.timeout());
  const auto most = config_.max_timeout;
  if (most.count() > 0 && asked > most) {
    return too_much("timeout", format_duration(asked), "limits.max_timeout", format_duration(most));
  }
  const auto timeout = asked.count() > 0 ? asked : or_ceiling(config_.timeout, most);
  if (timeout.count() <= 0) return std::nullopt;
  return to_proto(timeout);
}

std::vector<std::string> LimitsPolicy::keys_without_effect(
    const std::vector<internal::UnenforcedLimit>& unenforced) const {
  std::vector<std::string> keys;
  for (const internal::UnenforcedLimit& limit : unenforced) {
    const auto add = [&](std::string_view field, std::string_view key, bool is_set) {
      if (is_set && limit.field() == field)
        keys.push_back(absl::StrCat("limits.", std::string(key)));
    };
    add("memory_bytes", "memory", config_.memory_bytes != 0);
    add("memory_bytes", "max_memory", config_.max_memory_bytes != 0);
    add("cpus", "cpus", config_.cpus > 0);
    add("cpus", "max_cpus", config_.max_cpus > 0);
    add("pids", "pids", config_.pids != 0);
    add("pids", "max_pids", config_.max_pids != 0);
    add("open_files", "open_files", config_.open_files != 0);
    add("open_files", "max_open_files", config_.max_open_files != 0);
    add("core_bytes", "core", config_.core_bytes != 0);
    add("nice", "nice", config_.nice != 0);
  }
  return keys;
}

}  // namespace clusterd
