#include "worker/admission.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/field_error.h"
#include "core/worker_fault.h"

namespace clusterd {
namespace fs = std::filesystem;
namespace {

const std::string kTraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

// A scripts folder with good and bad members, and one outside it.
class Folder {
 public:
  Folder() {
    const char* base = std::getenv("TMPDIR");
    std::string name = std::string(base != nullptr ? base : "/tmp") + "/admission-XXXXXX";
    root = mkdtemp(name.data());
    scripts = root / "scripts";
    make("scripts/count.sh", 0755);
    make("scripts/plain.sh", 0644);
    make("scripts/deep/inner.sh", 0755);
    make("scripts/open.sh", 0757);
    make("scripts/group.sh", 0775);
    make("scripts/opendir/a.sh", 0755);
    chmod((scripts / "opendir").c_str(), 0777);
    make("outside.sh", 0755);
    fs::create_symlink("deep/inner.sh", scripts / "link.sh");
    fs::create_symlink("../outside.sh", scripts / "escape.sh");
    fs::create_symlink(root / "outside.sh", scripts / "absolute.sh");
    fs::create_symlink("..", scripts / "up");
    fs::create_symlink("loop", scripts / "loop");
    fs::create_symlink("/proc/self/exe", scripts / "magic");
    chmod((scripts / "deep").c_str(), 0755);
  }
  ~Folder() { fs::remove_all(root); }

  void make(const std::string& name, mode_t mode) const {
    fs::create_directories((root / name).parent_path());
    std::ofstream(root / name) << "#!/bin/sh\n";
    chmod((root / name).c_str(), mode);
  }

  WorkerConfig::Jobs config() const {
    WorkerConfig::Jobs jobs;
    jobs.scripts_dir = scripts.native();
    jobs.allowed_commands = {"sh", "/bin/cat", "no-such-interpreter"};
    jobs.allowed_programs = {"/bin/echo"};
    jobs.env_allow = {"PYTHONPATH", "NODE_*"};
    jobs.max_output_bytes = 1000;
    jobs.archive_commands = {"/bin/cat", "no-such-archiver"};
    return jobs;
  }

  fs::path root;
  fs::path scripts;
};

v1::StartAttempt attempt_of(const std::string& path, const std::string& command) {
  v1::StartAttempt attempt;
  attempt.mutable_key()->set_job_id("j1");
  attempt.mutable_key()->set_attempt(2);
  attempt.mutable_spec()->set_path(path);
  attempt.mutable_spec()->set_command(command);
  return attempt;
}

absl::StatusOr<internal::LaunchPlan> check(const Folder& folder, const v1::StartAttempt& attempt) {
  WorkerConfig::Limits limits;
  limits.max_pids = 100;
  limits.max_timeout = std::chrono::hours(1);
  return Admission(folder.config(), LimitsPolicy(limits, {.open_files = 1000}))
      .check(attempt, {"worker-id", "worker-name"}, {});
}

std::vector<std::string> argv_of(const internal::LaunchPlan& plan) {
  return {plan.argv().begin(), plan.argv().end()};
}

bool has(const internal::LaunchPlan& plan, const std::string& variable) {
  return std::count(plan.environment().begin(), plan.environment().end(), variable) == 1;
}

}  // namespace

TEST_CASE("a script with an interpreter runs by its real path", "[admission]") {
  const Folder folder;
  v1::StartAttempt attempt = attempt_of("link.sh", "sh");
  attempt.mutable_spec()->add_args("5");
  attempt.mutable_spec()->set_cwd("deep");
  const std::string real = fs::canonical(folder.scripts / "deep/inner.sh").native();

  const auto plan = check(folder, attempt);

  REQUIRE(plan.ok());
  CHECK(plan->executable().front() == '/');
  CHECK(argv_of(*plan) == std::vector<std::string>{"sh", real, "5"});
  CHECK(plan->working_folder() == fs::canonical(folder.scripts / "deep").native());
  CHECK(plan->key().job_id() == "j1");
}

TEST_CASE("a script without an interpreter is its own executable", "[admission]") {
  const Folder folder;

  const auto plan = check(folder, attempt_of("count.sh", ""));

  REQUIRE(plan.ok());
  CHECK(plan->executable() == fs::canonical(folder.scripts / "count.sh").native());
  CHECK(argv_of(*plan) == std::vector<std::string>{plan->executable()});
  CHECK(plan->working_folder() == fs::canonical(folder.scripts).native());
}

TEST_CASE("an entry of a list matches by its text or its last component", "[admission]") {
  const Folder folder;

  CHECK(check(folder, attempt_of("plain.sh", "cat"))->executable() == "/bin/cat");
  CHECK(check(folder, attempt_of("plain.sh", "/bin/cat"))->executable() == "/bin/cat");
  CHECK(check(folder, attempt_of("", "echo"))->executable() == "/bin/echo");
  CHECK_FALSE(check(folder, attempt_of("plain.sh", "/usr/bin/sh")).ok());
}

TEST_CASE("each refusal names its field and what is wrong", "[admission]") {
  const Folder folder;
  struct Case {
    std::string path, command;
    std::function<void(v1::JobSpec&)> change;
    absl::StatusCode code;
    std::string field, text;
  };
  const auto nothing = [](v1::JobSpec&) {};
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  constexpr auto kDenied = absl::StatusCode::kPermissionDenied;
  const std::vector<Case> cases = {
      {"none.sh", "sh", nothing, kInvalid, "path", "\"none.sh\" does not exist"},
      {"../outside.sh", "sh", nothing, kInvalid, "path", "\"..\""},
      {"escape.sh", "sh", nothing, kInvalid, "path", "leads outside"},
      {"absolute.sh", "sh", nothing, kInvalid, "path", "leads outside"},
      {"up/outside.sh", "sh", nothing, kInvalid, "path", "leads outside"},
      {"loop", "sh", nothing, kInvalid, "path", "loop"},
      {"magic", "sh", nothing, kInvalid, "path", "magic"},
      {"deep", "sh", nothing, kInvalid, "path", "not a regular file"},
      {"plain.sh", "", nothing, kInvalid, "path", "not executable"},
      {"open.sh", "sh", nothing, kDenied, "path", "\"open.sh\" is writable by others"},
      {"group.sh", "sh", nothing, kDenied, "path", "\"group.sh\" is writable by its group"},
      {"opendir/a.sh", "sh", nothing, kDenied, "path", "\"opendir\" is writable by others"},
      {"count.sh", "perl", nothing, kDenied, "command", "allowed_commands: sh, /bin/cat"},
      {"count.sh", "echo", nothing, kDenied, "command", "\"echo\""},
      {"", "sh", nothing, kDenied, "command", "allowed_programs: /bin/echo"},
      {"", "", nothing, kInvalid, "path", "allowed_programs"},
      {"count.sh", "no-such-interpreter", nothing, absl::StatusCode::kFailedPrecondition, "command",
       "no such executable"},
      {"count.sh", "sh", [](auto& s) { s.set_cwd("none"); }, kInvalid, "cwd", "does not exist"},
      {"count.sh", "sh", [](auto& s) { s.set_cwd("up"); }, kInvalid, "cwd", "leads outside"},
      {"count.sh", "sh", [](auto& s) { s.set_cwd("plain.sh"); }, kInvalid, "cwd", "not a folder"},
      {"count.sh", "sh", [](auto& s) { s.set_cwd("opendir"); }, kDenied, "cwd", "writable"},
      {"count.sh", "sh", [](auto& s) { s.mutable_output()->set_max_bytes(1001); }, kInvalid,
       "output.max_bytes", "1001 is above this worker's max_output of 1000"},
      {"count.sh", "sh", [](auto& s) { s.mutable_limits()->set_pids(101); }, kInvalid,
       "limits.pids", "101 is above this worker's limits.max_pids of 100"},
      {"count.sh", "sh", [](auto& s) { s.mutable_timeout()->set_seconds(3601); }, kInvalid,
       "timeout", "1h1s is above this worker's limits.max_timeout of 1h"},
      {"count.sh", "sh", [](auto& s) { s.set_stop_signal("NOPE"); }, kInvalid, "stop_signal",
       "NOPE"},
      {"count.sh", "sh", [](auto& s) { s.mutable_output()->set_archive_command("sh"); }, kDenied,
       "output.archive_command", "not in this worker's archive_commands: /bin/cat"},
      {"count.sh", "sh",
       [](auto& s) { s.mutable_output()->set_archive_command("no-such-archiver"); },
       absl::StatusCode::kFailedPrecondition, "output.archive_command", "no such executable"},
  };
  for (const Case& one : cases) {
    INFO(one.path << " " << one.command << " " << one.field << " " << one.text);
    v1::StartAttempt attempt = attempt_of(one.path, one.command);
    one.change(*attempt.mutable_spec());

    const auto plan = check(folder, attempt);

    REQUIRE_FALSE(plan.ok());
    CHECK(plan.status().code() == one.code);
    CHECK(field_of(plan.status()) == one.field);
    CHECK_THAT(std::string(plan.status().message()), Catch::Contains(one.text));
  }
}

TEST_CASE("a script of another user is refused", "[admission]") {
  if (geteuid() != 0) return;  // only root can make one
  const Folder folder;
  REQUIRE(chown((folder.scripts / "count.sh").c_str(), 12345, 0) == 0);

  const auto plan = check(folder, attempt_of("count.sh", "sh"));

  CHECK(absl::IsPermissionDenied(plan.status()));
  CHECK_THAT(std::string(plan.status().message()), Catch::Contains("user 12345"));
}

TEST_CASE("nothing runs from a scripts folder that others may write", "[admission]") {
  const Folder folder;
  chmod(folder.scripts.c_str(), 0777);

  const auto script = check(folder, attempt_of("count.sh", "sh"));
  const auto program = check(folder, attempt_of("", "echo"));

  for (const auto& [plan, field] : {std::pair(script, "path"), std::pair(program, "cwd")}) {
    CHECK(absl::IsPermissionDenied(plan.status()));
    CHECK(field_of(plan.status()) == field);
    CHECK_THAT(std::string(plan.status().message()),
               Catch::Contains("the scripts folder " + folder.scripts.native() +
                               " is writable by others"));
  }
}

TEST_CASE("a scripts folder of another user is refused", "[admission]") {
  if (geteuid() != 0) return;  // only root can make one
  const Folder folder;
  REQUIRE(chown(folder.scripts.c_str(), 12345, 0) == 0);

  const auto plan = check(folder, attempt_of("count.sh", "sh"));

  CHECK(absl::IsPermissionDenied(plan.status()));
  CHECK_THAT(std::string(plan.status().message()), Catch::Contains("user 12345"));
}

TEST_CASE("variables that change what runs are refused unless they are allowed", "[admission]") {
  const Folder folder;
  const auto start = [&folder](const std::string& name) {
    v1::StartAttempt attempt = attempt_of("count.sh", "sh");
    (*attempt.mutable_spec()->mutable_env())[name] = "x";
    return check(folder, attempt);
  };

  for (const char* name :
       {"LD_PRELOAD", "GLIBC_TUNABLES", "GCONV_PATH", "BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS",
        "PS4", "IFS", "PYTHONHOME", "RUBYOPT", "PERL5LIB", "PERLLIB", "ZDOTDIR", "BASH_FUNC_ls%%",
        "PATH", "HOME", "CLUSTERD_JOB_ID"}) {
    const auto plan = start(name);
    INFO(name);
    CHECK(absl::IsPermissionDenied(plan.status()));
    CHECK(field_of(plan.status()) == "env");
    CHECK_THAT(std::string(plan.status().message()),
               Catch::Contains("\"" + std::string(name) + "\""));
  }
  CHECK(has(*start("PYTHONPATH"), "PYTHONPATH=x"));
  CHECK(has(*start("NODE_OPTIONS"), "NODE_OPTIONS=x"));
  CHECK(has(*start("COLOUR"), "COLOUR=x"));
}

TEST_CASE("the environment is clean and says who the job is", "[admission]") {
  const Folder folder;
  setenv("CLUSTERD_TEST_SECRET", "1", 1);
  v1::StartAttempt attempt = attempt_of("count.sh", "sh");
  attempt.set_task_index(7);
  attempt.set_task_count(9);
  attempt.set_trace_parent(kTraceParent);

  const auto plan = check(folder, attempt);
  unsetenv("CLUSTERD_TEST_SECRET");

  REQUIRE(plan.ok());
  CHECK(has(*plan, std::string("PATH=") + kJobPath));
  CHECK(has(*plan, "CLUSTERD_JOB_ID=j1"));
  CHECK(has(*plan, "CLUSTERD_ATTEMPT=2"));
  CHECK(has(*plan, "CLUSTERD_WORKER_ID=worker-id"));
  CHECK(has(*plan, "CLUSTERD_WORKER_NAME=worker-name"));
  CHECK(has(*plan, "CLUSTERD_TASK_INDEX=7"));
  CHECK(has(*plan, "CLUSTERD_TASK_COUNT=9"));
  CHECK(has(*plan, "TRACEPARENT=" + kTraceParent));
  CHECK_FALSE(has(*plan, "CLUSTERD_TEST_SECRET=1"));
}

TEST_CASE("the plan says which script is to be looked at again", "[admission]") {
  const Folder folder;
  std::ofstream(folder.scripts / "binary") << "\x7f"
                                              "ELF";
  chmod((folder.scripts / "binary").c_str(), 0755);
  const std::string real = fs::canonical(folder.scripts).native();

  const auto with_interpreter = check(folder, attempt_of("link.sh", "sh"));
  const auto script = check(folder, attempt_of("count.sh", ""));
  const auto binary = check(folder, attempt_of("binary", ""));
  const auto program = check(folder, attempt_of("", "echo"));

  CHECK(with_interpreter->script().path() == real + "/deep/inner.sh");
  CHECK(with_interpreter->script().argument() == 1);
  CHECK(with_interpreter->script().is_read());
  CHECK(script->script().argument() == 0);
  CHECK(script->script().is_read());
  CHECK_FALSE(binary->script().is_read());
  CHECK_FALSE(program->has_script());
  CHECK_FALSE(script->script().sealed());
}

TEST_CASE("an attempt whose id is no name of a folder is refused", "[admission]") {
  const Folder folder;
  for (const char* id : {"", "..", ".hidden", "a/b", "../../etc", "a b", "a\nb"}) {
    v1::StartAttempt attempt = attempt_of("count.sh", "sh");
    attempt.mutable_key()->set_job_id(id);

    const auto plan = check(folder, attempt);

    INFO(id);
    CHECK(absl::IsInvalidArgument(plan.status()));
    CHECK(field_of(plan.status()) == "job_id");
  }
}

TEST_CASE("a script that comes with its job runs as a sealed copy where that is allowed",
          "[admission]") {
  const Folder folder;
  WorkerConfig::Jobs jobs = folder.config();
  jobs.data_dir = (folder.root / "data").native();
  v1::StartAttempt attempt = attempt_of("mine.sh", "sh");
  attempt.mutable_spec()->mutable_script()->set_content("echo mine\n");
  attempt.mutable_spec()->add_args("5");
  const auto start = [&jobs](const v1::StartAttempt& order) {
    return Admission(jobs, LimitsPolicy({}, {.open_files = 1000}))
        .check(order, {"worker-id", "worker-name"}, {});
  };

  const absl::Status refused = start(attempt).status();
  CHECK(absl::IsPermissionDenied(refused));
  CHECK(field_of(refused) == "script");
  CHECK_THAT(std::string(refused.message()),
             Catch::Contains("must lie at " + (folder.scripts / "mine.sh").native()));
  CHECK_FALSE(fs::exists(jobs.data_dir));

  jobs.allow_uploads = true;
  const auto plan = start(attempt);
  REQUIRE(plan.ok());
  CHECK(plan->script().sealed());
  CHECK(plan->script().is_read());
  CHECK(plan->script().sha256().size() == 32);
  CHECK(argv_of(*plan) == std::vector<std::string>{"sh", plan->script().path(), "5"});
  CHECK(fs::exists(plan->script().path()));

  attempt.mutable_spec()->clear_command();
  CHECK(field_of(start(attempt).status()) == "script.content");  // no "#!"
  jobs.max_upload_bytes = 5;
  attempt.mutable_spec()->set_command("sh");
  CHECK(field_of(start(attempt).status()) == "script.content");
}

TEST_CASE("with digests only what they name runs, as a sealed copy", "[admission]") {
  const Folder folder;
  // Of "#!/bin/sh\n", which is what all of them hold.
  const std::string digest = "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf";
  const fs::path file = folder.root / "digests";
  std::ofstream(file) << digest << "  count.sh\n" << digest << " *./deep/inner.sh\n";
  WorkerConfig::Jobs jobs = folder.config();
  jobs.digests = file.native();
  Admission admission(jobs, LimitsPolicy({}, {.open_files = 1000}));
  const auto start = [&admission](const std::string& path) {
    return admission.check(attempt_of(path, "sh"), {"worker-id", "worker-name"}, {});
  };

  const auto named = start("count.sh");
  const auto linked = start("link.sh");
  const auto other = start("plain.sh");
  const auto listed = admission.list_scripts({});
  std::ofstream(folder.scripts / "count.sh", std::ios::app) << "# changed\n";
  const auto changed = start("count.sh");

  REQUIRE(named.ok());
  CHECK(named->script().sealed());
  CHECK(named->script().sha256().size() == 32);
  CHECK(linked.ok());
  for (const auto& refused : {other, changed}) {
    CHECK(absl::IsPermissionDenied(refused.status()));
    CHECK(field_of(refused.status()) == "path");
    CHECK_THAT(std::string(refused.status().message()), Catch::Contains("SHA-256"));
  }
  REQUIRE(listed->scripts_size() == 2);
  CHECK(listed->scripts(1).path() == "deep/inner.sh");
}

TEST_CASE("bounds come from the spec, else from the worker", "[admission]") {
  const Folder folder;
  v1::StartAttempt attempt = attempt_of("count.sh", "sh");
  const auto plain = check(folder, attempt);
  attempt.mutable_spec()->set_stop_signal("INT");
  attempt.mutable_spec()->mutable_stop_grace()->set_seconds(3);
  attempt.mutable_spec()->mutable_timeout()->set_seconds(4);
  attempt.mutable_spec()->mutable_output()->set_max_bytes(500);
  attempt.mutable_fence_after()->set_seconds(5);

  const auto plan = check(folder, attempt);

  CHECK(plain->stop_signal() == SIGTERM);
  CHECK(plain->stop_grace().seconds() == 10);
  CHECK(plain->timeout().seconds() == 3600);
  CHECK(plain->limits().pids() == 100);
  CHECK(plain->max_output_bytes() == 1000);
  CHECK_FALSE(plain->has_fence_after());
  CHECK(plan->stop_signal() == SIGINT);
  CHECK(plan->stop_grace().seconds() == 3);
  CHECK(plan->timeout().seconds() == 4);
  CHECK(plan->max_output_bytes() == 500);
  CHECK(plan->fence_after().seconds() == 5);
}

TEST_CASE("what becomes of the output is in the plan", "[admission]") {
  const Folder folder;
  v1::StartAttempt attempt = attempt_of("count.sh", "sh");
  const auto plain = check(folder, attempt);
  (*attempt.mutable_spec()->mutable_env())["SECRET"] = "x";
  attempt.mutable_spec()->mutable_output()->set_on_limit(v1::OutputSpec::STOP);
  attempt.mutable_spec()->mutable_output()->set_archive_command("cat");

  const auto plan = check(folder, attempt);

  REQUIRE(plain.ok());
  CHECK(plain->on_output_limit() == v1::OutputSpec::DISCARD_OLDEST);
  CHECK(plain->archive_command().empty());
  CHECK(plain->archive_environment().empty());
  CHECK(plain->full_disk_wait().seconds() == 5);
  REQUIRE(plan.ok());
  CHECK(plan->on_output_limit() == v1::OutputSpec::STOP);
  CHECK(plan->archive_command() == "/bin/cat");
  CHECK(plan->archive_timeout().seconds() == 300);
  const std::vector<std::string> variables(plan->archive_environment().begin(),
                                           plan->archive_environment().end());
  CHECK_THAT(variables, Catch::VectorContains(std::string("CLUSTERD_JOB_ID=j1")));
  for (const std::string& variable : variables) CHECK_FALSE(variable.starts_with("SECRET"));
}

TEST_CASE("a scripts folder that is gone is the worker's fault, a missing script is not",
          "[script_folder]") {
  const Folder folder;
  const ScriptFolder scripts(folder.scripts.native());
  const fs::path away = folder.scripts.native() + ".away";

  CHECK_FALSE(is_workers_fault(scripts.find_script("none.sh").status()));
  CHECK_FALSE(is_workers_fault(scripts.find_script("../outside.sh").status()));
  fs::rename(folder.scripts, away);
  CHECK(is_workers_fault(scripts.find_script("count.sh").status()));
  CHECK(is_workers_fault(scripts.find_working_folder("").status()));
  fs::create_directory(folder.scripts);  // as where it was mounted
  const ScriptFolder never_filled(folder.scripts.native());
  CHECK(is_workers_fault(scripts.find_script("count.sh").status()));
  CHECK_FALSE(is_workers_fault(never_filled.find_script("count.sh").status()));
  fs::remove(folder.scripts);
  fs::rename(away, folder.scripts);

  CHECK(scripts.find_script("count.sh").ok());
}

TEST_CASE("scripts are listed by path, in pages, without what would be refused",
          "[script_folder]") {
  const Folder folder;
  const ScriptFolder scripts(folder.scripts.native());
  v1::ListWorkerScriptsRequest request;
  request.set_page_size(2);

  std::vector<std::string> paths;
  int pages = 0;
  do {
    const auto page = scripts.list(request, [](const std::string&) { return true; });
    REQUIRE(page.ok());
    for (const v1::Script& script : page->scripts()) paths.push_back(script.path());
    request.set_page_token(page->next_page_token());
    ++pages;
  } while (!request.page_token().empty());

  CHECK(paths == std::vector<std::string>{"count.sh", "deep/inner.sh", "link.sh", "plain.sh"});
  CHECK(pages == 2);
}

}  // namespace clusterd
