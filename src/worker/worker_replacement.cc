#include "worker/worker_replacement.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/log.h"
#include "worker/executable_file.h"
#include "worker/spawn_setup.h"

namespace clusterd {
namespace {

constexpr char kInheritedFd[] = "CLUSTERD_INHERITED_FD";

std::vector<std::string> words_of(const WorkerStart& start) {
  std::vector<std::string> words = {"worker", "--config", start.config_file};
  if (!start.port_file.empty()) words.insert(words.end(), {"--port-file", start.port_file});
  return words;
}

}  // namespace

std::optional<Inherited> take_worker_inheritance() {
  const char* text = std::getenv(kInheritedFd);
  if (text == nullptr) return std::nullopt;
  int number = -1;
  (void)std::from_chars(text, text + std::strlen(text), number);
  (void)::unsetenv(kInheritedFd);  // nobody else's business
  if (number <= STDERR_FILENO) return std::nullopt;
  absl::StatusOr<Inherited> inherited = Inherited::read(number);
  if (inherited.ok()) return *std::move(inherited);
  log_warning("worker", "starts as a new process", {{"error", inherited.status()}});
  return std::nullopt;
}

absl::Status check_replacement(const std::string& executable, const WorkerStart& start) {
  std::vector<std::string> words = words_of(start);
  words.push_back("--check");
  return try_executable(executable, words);
}

absl::Status replace_worker(const std::string& executable, const WorkerStart& start,
                            const UniqueFd& lock, LauncherConnection& launcher) {
  // Whatever a library has left open is not for the next one.
  (void)::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  KeptDescriptors kept;
  internal::Inheritance inheritance;
  launcher.bequeath(&kept, &inheritance);
  inheritance.set_lock(lock.get());
  kept.keep(lock.get());
  const absl::StatusOr<UniqueFd> memory = write_inheritance(inheritance);
  if (!memory.ok()) return memory.status();
  kept.keep(memory->get());
  const std::string number = std::to_string(memory->get());
  (void)::setenv(kInheritedFd, number.c_str(), 1);
  std::vector<std::string> words = words_of(start);
  words.insert(words.begin(), executable);
  (void)::execv(executable.c_str(), SpawnSetup::pointers_to(words).data());
  return absl::InternalError(absl::StrCat(executable, ": ", std::strerror(errno)));
}

}  // namespace clusterd
