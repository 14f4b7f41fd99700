#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "cli/completion_scripts.h"
#include "cli/exit_codes.h"
#include "cli/print.h"
#include "cli/shell_commands.h"

namespace clusterd {

int run(const CompletionCommand& command) {
  return print_text(std::string(completion_script(command.shell)));
}

int run(const CompleteCommand& command) { return print_completion(command.completion); }

int run(const ManualCommand& command) {
  std::error_code error;
  std::filesystem::create_directories(command.dir, error);
  if (error) {
    return report_error(absl::InvalidArgumentError(
        absl::StrCat("DIR: \"", command.dir, "\" cannot be made: ", error.message())));
  }
  for (const ManualPage& page : command.pages) {
    const std::string path = command.dir + "/" + page.file;
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << page.text << std::flush;
    if (!file) {
      return report_error(
          absl::InternalError(absl::StrCat(path, " cannot be written: ", std::strerror(errno))));
    }
  }
  return kExitOk;
}

}  // namespace clusterd
