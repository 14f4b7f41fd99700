#include "worker/launcher/archive_process.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "core/utf8.h"
#include "worker/output_files.h"
#include "worker/process_info.h"
#include "worker/spawn_setup.h"

namespace clusterd {
namespace {

constexpr size_t kErrorTailBytes = 1024;

// What the launcher changed for itself and its children inherit.
void restore_baseline(pid_t pid, const ChildBaseline& baseline) {
  (void)::prlimit(pid, RLIMIT_NOFILE, &baseline.open_files, nullptr);
  if (baseline.oom_score_adj.empty()) return;
  std::ofstream(absl::StrCat("/proc/", pid, "/oom_score_adj")) << baseline.oom_score_adj;
}

absl::StatusOr<ArchiveProcess> start(const ArchiveOrder& order, const ChildBaseline& baseline) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    return absl::UnavailableError(std::strerror(errno));
  }
  ArchiveProcess process;
  process.errors.reset(pipe[0]);
  const UniqueFd writer(pipe[1]);
  SpawnSetup setup;
  setup.open(STDIN_FILENO, "/dev/null", O_RDONLY);
  setup.open(STDOUT_FILENO, "/dev/null", O_WRONLY);
  setup.pass(writer.get(), STDERR_FILENO);
  setup.change_folder("/");
  setup.close_from(STDERR_FILENO + 1);
  setup.lead_session();
  sigset_t ignored;
  (void)::sigemptyset(&ignored);
  for (const int signal : baseline.ignored_signals) (void)::sigaddset(&ignored, signal);
  setup.handle_by_default(ignored);
  std::vector<std::string> words = {order.command};
  words.insert(words.end(), order.logs.begin(), order.logs.end());
  const int error = setup.start(order.command, std::move(words), order.environment, &process.pid);
  if (error != 0) {
    return absl::UnavailableError(absl::StrCat(order.command, ": ", std::strerror(error)));
  }
  process.pidfd = open_pidfd(process.pid);
  restore_baseline(process.pid, baseline);
  if (const auto stat = read_process_stat(process.pid)) process.start_ticks = stat->start_ticks;
  return process;
}

}  // namespace

ArchiveStarted start_archive(const ArchiveOrder& order, const ChildBaseline& baseline) {
  return {order.handle, start(order, baseline)};
}

std::vector<std::string> existing_logs(const std::string& folder,
                                       const internal::JournalIntent& intent) {
  std::vector<std::string> logs;
  for (const v1::OutputStream::Stream stream : streams_of(intent)) {
    std::string path = log_path(folder, stream);
    if (::access(path.c_str(), F_OK) == 0) logs.push_back(std::move(path));
  }
  return logs;
}

std::string read_archive_errors(int errors) {
  std::string text(64 << 10, '\0');
  const ssize_t size = ::read(errors, text.data(), text.size());
  text.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.size() > kErrorTailBytes) text.erase(0, text.size() - kErrorTailBytes);
  std::replace(text.begin(), text.end(), '\n', ' ');
  return to_valid_utf8(text);
}

}  // namespace clusterd
