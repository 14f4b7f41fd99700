#include <CLI/CLI.hpp>

#include "cli/command_families.h"
#include "cli/number_check.h"

namespace clusterd {
namespace {

void add_text(CLI::App& app, const std::string& name, std::string& value, const std::string& type,
              const std::string& text) {
  app.add_option(name, value, text)->type_name(type);
}

void add_list(CLI::App& app, const std::string& name, std::vector<std::string>& values,
              const std::string& type, const std::string& text) {
  app.add_option(name, values, text + " (repeatable)")->type_name(type)->allow_extra_args(false);
}

}  // namespace

void add_queue_options(CLI::App& app, QueueFlags& flags) {
  add_text(app, "--array", flags.array, "FROM-TO[:STEP][%MAX]",
           "One task for each index; at most MAX at a time");
  app.add_flag("--every-worker", flags.every_worker, "One task on each matching worker");
  add_list(app, "--require", flags.require, "EXPR", "gpu=yes, zone in (a,b), !spot");
  app.add_option("--slots", flags.slots, "Slots it takes [1]")->check(CLI::Range(1, 1'000'000));
  app.add_option("--cpus", flags.cpus, "Processors it takes, fractions allowed")
      ->check(check_not_negative);
  add_text(app, "--memory", flags.memory, "SIZE", "Memory it takes (512MiB)");
  add_list(app, "--resource", flags.resources, "NAME=N", "Units of a counted resource (gpu=1)");
  app.add_flag("--exclusive", flags.exclusive, "A worker of its own, with nothing beside it");
  add_list(app, "--prefer", flags.prefer, "EXPR:WEIGHT", "Rather there; below 0: rather not");
  app.add_flag("--pack", flags.pack, "Where it leaves the least room, not the most");
  add_list(app, "--tolerate", flags.tolerate, "TAINT", "KEY, KEY=VALUE or * of workers' taints");
  app.add_option("--gang", flags.gang, "So many tasks, which start at once or not at all")
      ->check(CLI::Range(1, 1'000));
  app.add_flag("--gang-goes-on", flags.gang_goes_on, "One that fails does not stop the others")
      ->needs("--gang");
  add_text(app, "--queue", flags.queue, "NAME", "Named queue");
  add_text(app, "--start-at", flags.start_at, "TIME", "Not before this time (RFC 3339)");
  add_text(app, "--start-delay", flags.start_delay, "TIME", "Not before this long from now");
  add_text(app, "--queue-timeout", flags.queue_timeout, "TIME", "Longest wait for room");
  add_list(app, "--after", flags.after, "JOB[:success|any|failure]", "Once that job has ended so");
  app.add_option("--max-attempts", flags.max_attempts, "Attempts in all")
      ->check(CLI::Range(1, 1'000));
  add_list(app, "--retry-on", flags.retry_on, "END", "failure, timeout, loss or start-failure");
  add_text(app, "--backoff", flags.backoff, "TIME", "Wait before attempt 2, then doubled [1s]");
  app.add_flag("--allow-overlap", flags.allow_overlap,
               "After a loss, do not wait for the lost attempt's end");
  app.add_option("--max-losses", flags.max_losses,
                 "Attempts that may be lost with their workers [the scheduler's max_losses]")
      ->check(CLI::Range(1, 1'000));
  add_text(app, "--lost-after", flags.lost_after, "TIME", "Its worker's silence that loses it");
}

}  // namespace clusterd
