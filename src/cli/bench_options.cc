#include <CLI/CLI.hpp>
#include <memory>

#include "bench/run_benches.h"
#include "cli/command_families.h"

namespace clusterd {
namespace {

constexpr uint32_t kMostAtOnce = 256;
constexpr uint64_t kMostJobs = 1'000'000;

void add_numbers(CLI::App& app, const std::string& name, std::vector<uint32_t>& numbers,
                 const std::string& text) {
  app.add_option(name, numbers, text)
      ->type_name("N[,N...]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1U, kMostAtOnce));
}

}  // namespace

void add_bench_command(CLI::App& app, Chosen& chosen) {
  CLI::App& bench =
      *app.add_subcommand("bench", "Measure a cluster: submits, jobs, latency, output.");
  auto command = std::make_shared<BenchCommand>();  // shared by the options and the callback
  bench.callback([command, &chosen] { chosen = *command; });
  CLI::Option* standalone = bench.add_flag(
      "--standalone", command->standalone,
      "Start a scheduler and a worker on loopback for it, and remove them afterwards");
  bench.add_option("--only", command->only, "Measure this (repeatable) [all]")
      ->check(CLI::IsMember(bench::measurement_names()))
      ->allow_extra_args(false);
  bench.add_option("--jobs", command->jobs, "Jobs of each measurement that counts jobs")
      ->check(CLI::Range(uint64_t{1}, kMostJobs));
  add_numbers(bench, "--connections", command->connections,
              "Connections that submit, one number after the other [1,4,16,64]");
  add_numbers(bench, "--followers", command->followers,
              "Followers of one output, one number after the other [1,4,16]");
  bench
      .add_option("--output-bytes", command->output_bytes,
                  "Output that is followed [1GiB; of a running cluster 256MiB]")
      ->type_name("SIZE");
  bench.add_option("--slots", command->slots, "Jobs at one time of a cluster that is started")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str()
      ->needs(standalone);
  bench.add_option("--http", command->http, "Its HTTP API [as the scheduler says]")
      ->type_name("[https://]HOST:PORT")
      ->excludes(standalone);
  add_client_options(bench, command->client);
  for (const char* name : {"--addr", "--token", "--ca", "--cert", "--key"}) {
    bench.get_option(name)->excludes(standalone);
  }
  bench.add_flag("--json", command->json, "Print one JSON document");
}

}  // namespace clusterd
