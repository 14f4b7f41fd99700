#include <CLI/CLI.hpp>

#include "cli/command_families.h"
#include "cli/output_spec_builder.h"
#include "core/units.h"
#include "core/utf8.h"

namespace clusterd {
namespace {

constexpr char kDiscardOldest[] = "discard-oldest";
constexpr char kStop[] = "stop";

}  // namespace

void add_output_options(CLI::App& app, OutputFlags& flags) {
  app.add_flag("--separate", flags.separate, "Keep standard output and standard error apart");
  app.add_option("--max-output", flags.max_bytes, "Bytes kept of each stream (64MiB)")
      ->type_name("SIZE");
  app.add_option("--on-output-limit", flags.on_limit,
                 "At --max-output, or where the disk is full [discard-oldest]")
      ->type_name("WHAT")
      ->check(CLI::IsMember({kDiscardOldest, kStop}));
  app.add_option("--archive", flags.archive_command,
                 "Command of the worker's archive_commands that gets the logs after the end")
      ->type_name("NAME");
}

absl::Status add_output(const OutputFlags& flags, v1::JobSpec& spec) {
  if (flags.separate) spec.mutable_output()->set_mode(v1::OutputSpec::SEPARATE);
  if (!flags.max_bytes.empty()) {
    const auto bytes = parse_size(flags.max_bytes);
    if (!bytes.ok()) {
      return absl::InvalidArgumentError("--max-output: " + std::string(bytes.status().message()));
    }
    spec.mutable_output()->set_max_bytes(*bytes);
  }
  if (!flags.on_limit.empty()) {
    spec.mutable_output()->set_on_limit(flags.on_limit == kStop ? v1::OutputSpec::STOP
                                                                : v1::OutputSpec::DISCARD_OLDEST);
  }
  if (flags.archive_command.empty()) return absl::OkStatus();
  if (!is_valid_utf8(flags.archive_command)) {
    return absl::InvalidArgumentError("--archive: is not UTF-8");
  }
  spec.mutable_output()->set_archive_command(flags.archive_command);
  return absl::OkStatus();
}

}  // namespace clusterd
