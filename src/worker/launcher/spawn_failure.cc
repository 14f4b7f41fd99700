#include "worker/launcher/spawn_failure.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "core/utf8.h"

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

std::string denied_file(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return absl::StrCat(path, ": permission denied");
  if (S_ISDIR(info.st_mode)) return absl::StrCat(path, ": it is a folder");
  const std::string interpreter = interpreter_of(path);
  if (!interpreter.empty() && ::access(path.c_str(), X_OK) == 0) {
    return absl::StrCat(path, ": its interpreter ", interpreter, " may not be executed");
  }
  return absl::StrCat(path, ": permission denied: the file may not be executed");
}

std::string execute_failure(int error, const std::string& path) {
  if (error == ENOENT) return missing_file(path);
  if (error == EACCES) return denied_file(path);
  if (error == ENOEXEC) {
    return absl::StrCat(path, ": neither a program of this machine nor a script with a #! line");
  }
  if (error == E2BIG) return absl::StrCat(path, ": arguments and environment are too long");
  return absl::StrCat(path, ": cannot be executed: ", std::strerror(error));
}

}  // namespace

absl::Status describe_spawn_failure(SpawnStage stage, int error, const std::string& executable,
                                    const std::string& working_folder) {
  const char* reason = std::strerror(error);
  switch (stage) {
    case SpawnStage::kPrepare:
      return absl::UnavailableError(absl::StrCat(executable, ": no new process: ", reason));
    case SpawnStage::kSession:
      return absl::UnavailableError(absl::StrCat(executable, ": no session of its own: ", reason));
    case SpawnStage::kFolder:
      return absl::FailedPreconditionError(
          absl::StrCat("working folder ", working_folder, ": ", reason));
    case SpawnStage::kInput:
      return absl::UnavailableError(absl::StrCat(executable, ": input or output: ", reason));
    case SpawnStage::kJournal:
      return absl::ResourceExhaustedError(
          absl::StrCat(executable, ": cannot write the launcher's journal: ", reason));
    case SpawnStage::kExecute:
      return absl::FailedPreconditionError(execute_failure(error, executable));
  }
  return absl::InternalError(reason);
}

}  // namespace clusterd
