#include "cli/run_doctor.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/doctor_checks.h"
#include "cli/exit_codes.h"
#include "cli/print.h"
#include "core/config_load.h"
#include "core/json_quote.h"
#include "core/log.h"
#include "store/file_lock.h"
#include "worker/worker_files.h"

namespace clusterd {
namespace {

constexpr const char* kUsual[] = {"/etc/clusterd/scheduler.toml", "/etc/clusterd/worker.toml"};
constexpr uint64_t kLeastForOutput = 256ULL << 20;

using AnyConfig = std::variant<SchedulerConfig, WorkerConfig>;

// Tables tell what a file is for; one that has none of them is known by its name.
bool is_of_worker(const std::string& path, const std::string& text) {
  const auto has = [&text](std::initializer_list<std::string_view> tables) {
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      const std::string_view table(line.data(), std::min(line.find(']') + 1, line.size()));
      if (std::find(tables.begin(), tables.end(), table) != tables.end()) return true;
    }
    return false;
  };
  if (has({"[scheduler]", "[worker]", "[capacity]", "[jobs]", "[limits]"})) return true;
  if (has({"[store]", "[scheduling]"})) return false;
  return path.substr(path.rfind('/') + 1).find("worker") != std::string::npos;
}

absl::StatusOr<AnyConfig> load(const std::string& path) {
  std::ifstream file(path);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  if (is_of_worker(path, text)) {
    auto config = load_worker_config(path);
    if (!config.ok()) return config.status();
    return *std::move(config);
  }
  auto config = load_scheduler_config(path);
  if (!config.ok()) return config.status();
  return *std::move(config);
}

// Somebody holds the lock, which is made where it is missing by the daemon only.
template <typename Acquire>
bool is_locked(const std::string& path, Acquire acquire) {
  return ::access(path.c_str(), R_OK) == 0 && !acquire().ok();
}

void look_at(const SchedulerConfig& config, WallTime now, Findings& findings) {
  const std::string lock = config.store.path + ".lock";
  const bool is_running = is_locked(lock, [&lock] { return FileLock::acquire(lock); });
  check_certificates("grpc_server", config.grpc_server, now, findings);
  check_certificates("http_server", config.http_server, now, findings);
  check_clock(findings);
  check_port("grpc_server.addr", config.grpc_server.addr, is_running, findings);
  check_port("http_server.addr", config.http_server.addr, is_running, findings);
  if (config.store.backend == "sqlite")
    check_disk("store.path", config.store.path, config.store.min_free_bytes, findings);
  check_store(config, findings);
  check_way_to_workers(config, findings);
  if (!is_running) return;
  const absl::Status live = check_live(config);
  if (live.ok()) return add_good(findings, "reachability", "the scheduler is ready");
  add_error(findings, "reachability",
            absl::StrCat("the scheduler runs and is not ready: ", live.message()),
            "the reason is in its log: `journalctl -u clusterd-scheduler`");
}

void look_at(const WorkerConfig& config, WallTime now, Findings& findings) {
  const std::string& data_dir = config.jobs.data_dir;
  const bool is_running =
      is_locked(data_dir + "/worker.lock", [&data_dir] { return lock_data_dir(data_dir); });
  check_certificates("grpc_server", config.grpc_server, now, findings);
  check_clock(findings);
  check_worker_files(config, findings);
  check_cgroups(config, findings);
  check_port("grpc_server.addr", config.grpc_server.addr, is_running, findings);
  check_disk("jobs.data_dir", data_dir, std::min(config.jobs.max_output_bytes, kLeastForOutput),
             findings);
  check_own_address(config, is_running, findings);
  check_way_to_scheduler(config, findings);
}

void look_at(const std::string& path, Findings& findings) {
  const auto config = load(path);
  if (config.ok()) {
    add_good(findings, "config", path + " has no mistake");
    return std::visit([&](const auto& one) { look_at(one, SystemClock().now().wall, findings); },
                      *config);
  }
  for (const absl::string_view line :
       absl::StrSplit(config.status().message(), '\n', absl::SkipEmpty())) {
    add_error(findings, "config", std::string(line),
              "docs/configuration.md has every key, what is allowed and the default");
  }
}

const char* word_of(Severity severity) {
  if (severity == Severity::kGood) return "ok";
  return severity == Severity::kWarning ? "warning" : "error";
}

std::string text_of(const Findings& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    absl::StrAppend(&text, word_of(finding.severity), "  ", finding.check, ": ", finding.message,
                    "\n");
    if (!finding.mend.empty()) absl::StrAppend(&text, "    ", finding.mend, "\n");
  }
  return text;
}

std::string json_of(const Findings& findings) {
  std::string text = "{\"findings\":[";
  for (const Finding& finding : findings) {
    absl::StrAppend(&text, text.back() == '[' ? "" : ",", "{\"check\":", json_quote(finding.check),
                    ",\"severity\":", json_quote(word_of(finding.severity)),
                    ",\"message\":", json_quote(finding.message));
    if (!finding.mend.empty()) absl::StrAppend(&text, ",\"mend\":", json_quote(finding.mend));
    text += "}";
  }
  return text + "]}\n";
}

int ask_whether_live(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    const auto config = load(file);
    if (!config.ok()) return report_error(config.status());
    const absl::Status live = std::visit([](const auto& one) { return check_live(one); }, *config);
    if (!live.ok()) return report_error(live);
  }
  return kExitOk;
}

}  // namespace

int exit_code_of(const Findings& findings) {
  int code = 0;
  for (const Finding& finding : findings) code = std::max(code, static_cast<int>(finding.severity));
  return code;
}

int run(const DoctorCommand& command) {
  (void)set_log_level("error");  // what is found is told below
  std::vector<std::string> files = command.config_files;
  for (const char* usual : kUsual) {
    if (command.config_files.empty() && ::access(usual, F_OK) == 0) files.emplace_back(usual);
  }
  if (files.empty()) {
    return report_error(absl::InvalidArgumentError(
        "no configuration in /etc/clusterd; name one with --config FILE"));
  }
  if (command.live) return ask_whether_live(files);
  Findings findings;
  for (const std::string& file : files) look_at(file, findings);
  const int printed = print_text(command.json ? json_of(findings) : text_of(findings));
  return printed != kExitOk ? printed : exit_code_of(findings);
}

}  // namespace clusterd
