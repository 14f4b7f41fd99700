#include "worker/launcher/spawn_failure.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "core/utf8.h"
#include "core/worker_fault.h"

namespace clusterd {
namespace {

// The interpreter in a script's #! line; empty where it has none.
std::string interpreter_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string line(256, '\0');
  file.read(line.data(), static_cast<std::streamsize>(line.size()));
  line.resize(static_cast<size_t>(file.gcount()));
  if (!line.starts_with("#!")) return "";
  line = line.substr(2, line.find('\n') == std::string::npos ? line.npos : line.find('\n') - 2);
  const size_t begin = line.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return to_valid_utf8(line.substr(begin, line.find_first_of(" \t", begin) - begin));
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::string missing_file(const std::string& path) {
  if (!exists(path)) return absl::StrCat(path, ": no such file");
  const std::string interpreter = interpreter_of(path);
  if (interpreter.empty()) return absl::StrCat(path, ": the loader that it needs does not exist");
  return absl::StrCat(path, ": its interpreter ", interpreter, " does not exist",
                      interpreter.ends_with('\r') ? " (the line ends with a carriage return)" : "");
}

// Why the kernel may not execute what exists under this name; empty: it seems that it may.
std::string obstacle_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return "a folder on its path may not be searched";
  if (S_ISDIR(info.st_mode)) return "it is a folder";
  if (!S_ISREG(info.st_mode)) return "it is not a regular file";
  if ((info.st_mode & 0111) == 0) return "the file may not be executed";
  struct statvfs system {};
  const bool is_known = ::statvfs(path.c_str(), &system) == 0;
  if (is_known && (system.f_flag & ST_NOEXEC) != 0) return "its file system is mounted noexec";
  return ::access(path.c_str(), X_OK) == 0 ? "" : "the file may not be executed";
}

std::string denied_file(const std::string& path, const std::string& user) {
  if (const std::string obstacle = obstacle_of(path); !obstacle.empty()) {
    return absl::StrCat(path, ": permission denied: ", obstacle);
  }
  if (!user.empty()) {
    return absl::StrCat(path, ": permission denied: ", user,
                        " may not execute it, its interpreter, or pass a folder on the way");
  }
  const std::string interpreter = interpreter_of(path);
  const std::string obstacle = interpreter.empty() ? "" : obstacle_of(interpreter);
  if (obstacle.empty()) return absl::StrCat(path, ": permission denied");
  return absl::StrCat(path, ": its interpreter ", interpreter, " cannot be executed: ", obstacle);
}

std::string no_program(const std::string& path) {
  const std::string interpreter = interpreter_of(path);
  if (!interpreter.empty()) {
    return absl::StrCat(path, ": its interpreter ", interpreter, " is no program of this machine");
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && info.st_size == 0) {
    return absl::StrCat(path, ": the file is empty");
  }
  return absl::StrCat(path, ": neither a program of this machine nor a script with a #! line");
}

std::string execute_failure(int error, const std::string& path, const std::string& user) {
  switch (error) {
    case ENOENT:
      return missing_file(path);
    case EACCES:
      return denied_file(path, user);
    case ENOEXEC:
      return no_program(path);
    case E2BIG:
      return absl::StrCat(path, ": arguments and environment are too long");
    case ETXTBSY:
      return absl::StrCat(path, ": somebody has the file open for writing");
    case ELOOP:
      return absl::StrCat(path, ": too many symbolic links, or interpreters of interpreters");
    case ENOMEM:
      return absl::StrCat(path, ": there is not enough memory for it within its limit");
    default:
      return absl::StrCat(path, ": cannot be executed: ", std::strerror(error));
  }
}

// Why a path that was good when it was checked is not any more.
std::string changed_file(const std::string& what, const std::string& path, int error,
                         const std::string& user) {
  const std::string named = path.empty() ? what : what + " " + path;
  if (error == EACCES || error == EPERM) {
    return absl::StrCat(named, ": permission denied: ", user.empty() ? "the worker's user" : user,
                        " may not open it, or pass a folder on the way");
  }
  if (error == ELOOP || error == ESTALE) {
    return absl::StrCat(named, ": it was exchanged after it had been checked");
  }
  return absl::StrCat(named, ": ", std::strerror(error));
}

std::string user_failure(const SpawnTarget& target, int error) {
  return absl::StrCat(target.executable, ": cannot run as ",
                      target.user.empty() ? "the worker's user" : target.user, ": ",
                      std::strerror(error));
}

std::string input_failure(const SpawnTarget& target, int error) {
  if (!target.input_file.empty()) {
    return changed_file("standard input", target.input_file, error, target.user);
  }
  return absl::StrCat(target.executable, ": input or output: ", std::strerror(error));
}

// What another job would meet here too. What the job names, its files, interpreter and arguments,
// is its own; ENOMEM may come of its limit.
bool is_of_worker(SpawnStage stage, int error, const SpawnTarget& target) {
  switch (stage) {
    case SpawnStage::kFolder:
    case SpawnStage::kScript:
    case SpawnStage::kExecute:
      return error == EIO || error == ESTALE || error == ENOTCONN || error == EAGAIN ||
             error == EMFILE || error == ENFILE;
    case SpawnStage::kInput:
      return target.input_file.empty();
    case SpawnStage::kLimits:
      return false;
    default:
      return true;
  }
}

absl::Status describe(SpawnStage stage, int error, const SpawnTarget& target) {
  const char* reason = std::strerror(error);
  const std::string& executable = target.executable;
  switch (stage) {
    case SpawnStage::kPrepare:
      return absl::UnavailableError(absl::StrCat(executable, ": no new process: ", reason));
    case SpawnStage::kSession:
      return absl::UnavailableError(absl::StrCat(executable, ": no session of its own: ", reason));
    case SpawnStage::kFolder:
      return absl::FailedPreconditionError(
          changed_file("working folder", target.working_folder, error, target.user));
    case SpawnStage::kInput:
      return absl::UnavailableError(input_failure(target, error));
    case SpawnStage::kJournal:
      return absl::ResourceExhaustedError(
          absl::StrCat(executable, ": cannot write the launcher's journal: ", reason));
    case SpawnStage::kCgroup:
      return absl::UnavailableError(
          absl::StrCat(executable, ": cannot enter its cgroup: ", reason));
    case SpawnStage::kLimits:
      return absl::UnavailableError(absl::StrCat(executable, ": cannot be limited: ", reason));
    case SpawnStage::kUser:
      return absl::UnavailableError(user_failure(target, error));
    case SpawnStage::kScript:
      return absl::FailedPreconditionError(
          changed_file("script", target.script, error, target.user));
    case SpawnStage::kScratch:
      return absl::FailedPreconditionError(
          changed_file("scratch folder", target.scratch, error, target.user));
    case SpawnStage::kExecute:
      return absl::FailedPreconditionError(execute_failure(error, executable, target.user));
  }
  return absl::InternalError(reason);
}

}  // namespace

SpawnTarget target_of(const internal::LaunchPlan& plan) {
  return {.executable = plan.executable(),
          .working_folder = plan.working_folder(),
          .script = plan.script().path(),
          .input_file = plan.stdin_file(),
          .scratch = plan.scratch_folder(),
          .user = plan.run_as().name()};
}

absl::Status describe_spawn_failure(SpawnStage stage, int error, const SpawnTarget& target) {
  absl::Status status = describe(stage, error, target);
  return is_of_worker(stage, error, target) ? by_workers_fault(std::move(status)) : status;
}

}  // namespace clusterd
