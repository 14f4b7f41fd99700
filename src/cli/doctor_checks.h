#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "cli/finding.h"
#include "core/clock.h"
#include "core/config.h"

namespace clusterd {

// What `clusterd doctor` looks at, each adding what it finds. None changes anything but for a
// moment: a port is bound and given back, a file is made and removed. All block.

// Certificates and lists that a listener names: that they are good now, for how long, and who may
// read the keys. `table`: of the configuration.
void check_certificates(const std::string& table, const ListenerConfig& listener, WallTime now,
                        Findings& findings);

// That the machine's clock is kept right by somebody.
void check_clock(Findings& findings);

// Room where `path` is, or is to be made: an error below `least` bytes, a warning below twice that.
// `key`: of the configuration.
void check_disk(const std::string& key, const std::string& path, uint64_t least,
                Findings& findings);

// A scheduler's database: its format, its write-ahead log, damage; and that its folder can be used.
void check_store(const SchedulerConfig& config, Findings& findings);

// A worker's folders, users and allowed commands.
void check_worker_files(const WorkerConfig& config, Findings& findings);

// That the limits of jobs can be kept.
void check_cgroups(const WorkerConfig& config, Findings& findings);

// That the address can be listened at, or that our own daemon does. `is_running`: it runs.
void check_port(const std::string& key, const std::string& address, bool is_running,
                Findings& findings);

// From a worker to each of its schedulers, with its own certificates: that they answer, and how far
// the clocks are apart.
void check_way_to_scheduler(const WorkerConfig& config, Findings& findings);
// What a difference between two clocks means: `skew` is how far that of `address` is ahead.
void add_skew(const std::string& address, std::chrono::nanoseconds skew, Findings& findings);
// That the address at which the worker is to be called is its own, where it runs.
void check_own_address(const WorkerConfig& config, bool is_running, Findings& findings);
// From a scheduler to each worker that its store knows and that has not left.
void check_way_to_workers(const SchedulerConfig& config, Findings& findings);

// The daemon of this configuration answers and is ready: what a health check of a container asks.
// UNAVAILABLE: not.
[[nodiscard]] absl::Status check_live(const SchedulerConfig& config);
[[nodiscard]] absl::Status check_live(const WorkerConfig& config);

}  // namespace clusterd
