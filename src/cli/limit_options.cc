#include "cli/limit_options.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "core/limits_check.h"
#include "core/units.h"

namespace clusterd {
namespace {

absl::Status add_size(const char* option, const std::string& text, uint64_t* bytes) {
  const auto size = parse_size(text);
  if (size.ok()) {
    *bytes = *size;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(option, ": \"", text, "\" is not a size as 512MiB"));
}

}  // namespace

void add_limit_options(CLI::App& app, LimitFlags& flags) {
  app.add_option("--limit-memory", flags.memory, "Memory beyond which the kernel kills (512MiB)")
      ->type_name("SIZE");
  app.add_option("--limit-cpus", flags.cpus, "Processors that it may use, fractions allowed")
      ->check(CLI::Range(kLeastCpus, kMostCpus));
  app.add_option("--limit-pids", flags.pids, "Processes and threads at one time")
      ->check(CLI::Range(1U, kMostPids));
  app.add_option("--limit-open-files", flags.open_files, "Open files of each process")
      ->check(CLI::Range(kLeastOpenFiles, kMostOpenFiles));
  app.add_option("--limit-core", flags.core, "Largest core file; 0: none")->type_name("SIZE");
  app.add_option("--nice", flags.nice, "Nice value, -20 to 19")
      ->check(CLI::Range(kLeastNice, kMostNice));
}

absl::Status add_limits(const LimitFlags& flags, v1::JobSpec& spec) {
  v1::Limits limits;
  uint64_t bytes = 0;
  if (!flags.memory.empty()) {
    const absl::Status status = add_size("--limit-memory", flags.memory, &bytes);
    if (!status.ok()) return status;
    limits.set_memory_bytes(bytes);
  }
  if (!flags.core.empty()) {
    const absl::Status status = add_size("--limit-core", flags.core, &bytes);
    if (!status.ok()) return status;
    limits.set_core_bytes(bytes);
  }
  if (flags.cpus) limits.set_cpus(*flags.cpus);
  if (flags.pids) limits.set_pids(*flags.pids);
  if (flags.open_files) limits.set_open_files(*flags.open_files);
  if (flags.nice) limits.set_nice(*flags.nice);
  if (limits.ByteSizeLong() > 0) *spec.mutable_limits() = std::move(limits);
  return absl::OkStatus();
}

}  // namespace clusterd
