// Does one of the hot paths of hot_paths.h as often as it is told, and counts nothing itself:
//
//   hot_paths --list                             the paths and what this was made with, as JSON
//   valgrind --tool=callgrind --instr-atstart=no --collect-atstart=no hot_paths NAME --folder
//   FOLDER
//
// Each is done as often before valgrind is told to count, so that what is made once is there.
#include "hot_paths.h"

#include <absl/base/config.h>
#include <gnu/libc-version.h>
#include <google/protobuf/stubs/common.h>
#include <grpcpp/grpcpp.h>
#include <sqlite3.h>

#include <CLI/CLI.hpp>
#include <array>
#include <boost/version.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clusterd/version.h"
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#endif

namespace clusterd::bench {

std::string job_id(uint64_t number) {
  return absl::StrFormat("0192f0c1-7d3a-7abc-8def-%012d", number);
}

v1::JobSpec plain_spec() {
  v1::JobSpec spec;
  spec.set_name("nightly");
  spec.set_path("count.sh");
  spec.set_command("bash");
  spec.add_args("5");
  spec.add_args("0.5");
  (*spec.mutable_env())["COLOUR"] = "blue";
  spec.mutable_timeout()->set_seconds(60);
  (*spec.mutable_labels())["team"] = "data";
  spec.mutable_resources()->set_slots(1);
  return spec;
}

Now still_time() {
  return {BootTime(std::chrono::hours(1)), WallTime(std::chrono::hours(500'000))};
}

void must(bool done, const std::string& what) {
  if (done) return;
  std::fprintf(stderr, "hot_paths: %s\n", what.c_str());
  std::exit(1);
}

void must(const absl::Status& status) { must(status.ok(), status.ToString()); }

namespace {

struct Path {
  const char* name;
  const char* what;    // one operation
  uint64_t repeat;     // calls that are counted
  uint64_t in_a_call;  // operations
  std::function<Operation(const std::string& folder)> make;
};

constexpr uint64_t kCommits = 12;

const std::array<Path, 11>& paths() {
  using Folder = const std::string&;
  static const std::array<Path, 11> all{{
      {"json_request", "a submit's JSON into the request", 100, 1,
       [](Folder) { return json_request(); }},
      {"json_answer", "a job into JSON", 100, 1, [](Folder) { return json_answer(); }},
      {"spec_check", "the checks of a spec", 1000, 1, [](Folder) { return spec_check(); }},
      {"job", "the scheduler's decisions on one job, submit to end", 200, 1,
       [](Folder) { return job_decisions(); }},
      {"task", "the same on one task of an array", 200, 1, [](Folder) { return task_decisions(); }},
      {"heartbeat", "the same on a heartbeat, one of 1,000 workers", 1000, 1,
       [](Folder) { return heartbeat_decision(); }},
      {"waiting_submit", "the same on a submit while 1,000 workers are full", 200, 1,
       [](Folder) { return waiting_submit(); }},
      {"place", "an end and the next placement, 1,000 workers, eight shapes of jobs", 200, 1,
       [](Folder) { return placement(); }},
      {"commit", "a record of a job and its event in a commit of 96", kCommits, kCommittedRecords,
       [](Folder folder) { return commit(folder, 2 * kCommits); }},
      {"attempt", "the worker's decisions on one attempt", 200, 1,
       [](Folder) { return attempt_decisions(); }},
      {"output", "a frame of 256 KiB from the log to the gateway", 40, 1,
       [](Folder folder) { return output_frame(folder); }},
  }};
  return all;
}

// In one call, so that callgrind has what is counted below one function.
[[gnu::noinline]] void count_this(Operation& operation, uint64_t repeat) {
#ifdef CALLGRIND_START_INSTRUMENTATION
  CALLGRIND_START_INSTRUMENTATION;
  CALLGRIND_TOGGLE_COLLECT;  // of this thread alone
#endif
  for (uint64_t i = 0; i < repeat; ++i) operation();
#ifdef CALLGRIND_START_INSTRUMENTATION
  CALLGRIND_TOGGLE_COLLECT;
  CALLGRIND_STOP_INSTRUMENTATION;
#endif
}

// "Release, x86_64, GNU 12.2.0, static dependencies": without the commit.
std::string build() {
  const std::string text = build_description();
  const size_t comma = text.find(", ");
  return comma == std::string::npos ? text : text.substr(comma + 2);
}

int list() {
  std::printf("{\"made_with\": {\"build\": \"%s\", \"C library\": \"%s\", \"protobuf\": \"%s\", ",
              build().c_str(), gnu_get_libc_version(),
              google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION).c_str());
  std::printf("\"Abseil\": \"%d.%d\", \"gRPC\": \"%s\", \"SQLite\": \"%s\", \"Boost\": \"%s\"},\n",
              ABSL_LTS_RELEASE_VERSION, ABSL_LTS_RELEASE_PATCH_LEVEL, grpc::Version().c_str(),
              sqlite3_libversion(), BOOST_LIB_VERSION);
#ifdef CALLGRIND_START_INSTRUMENTATION
  std::printf(" \"can_be_counted\": true,\n");
#else
  std::printf(" \"can_be_counted\": false,\n");
#endif
  std::printf(" \"paths\": [");
  const char* separator = "";
  for (const Path& path : paths()) {
    std::printf("%s\n  {\"name\": \"%s\", \"what\": \"%s\", \"operations\": %lu}", separator,
                path.name, path.what, path.repeat * path.in_a_call);
    separator = ",";
  }
  std::printf("\n ]}\n");
  return 0;
}

int run(const std::string& name, const std::string& folder) {
  for (const Path& path : paths()) {
    if (path.name != name) continue;
    Operation operation = path.make(folder);
    for (uint64_t i = 0; i < path.repeat; ++i) operation();
    count_this(operation, path.repeat);
    return 0;
  }
  must(false, "no path is named " + name);
  return 1;
}

}  // namespace
}  // namespace clusterd::bench

int main(int argc, char** argv) {
  CLI::App app{"Does a hot path again and again"};
  std::string name;
  std::string folder;
  bool lists = false;
  app.add_option("name", name, "The path");
  app.add_option("--folder", folder, "Where it may make files")->check(CLI::ExistingDirectory);
  app.add_flag("--list", lists, "Print the paths");
  CLI11_PARSE(app, argc, argv);
  return lists ? clusterd::bench::list() : clusterd::bench::run(name, folder);
}
