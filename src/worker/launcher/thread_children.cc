#include "worker/launcher/thread_children.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "worker/launcher/cgroup_file.h"

namespace clusterd {

ThreadChildren::ThreadChildren()
    : file_(::open(absl::StrCat("/proc/self/task/", ::gettid(), "/children").c_str(),
                   O_RDONLY | O_CLOEXEC)) {}

std::vector<pid_t> ThreadChildren::read() const {
  std::vector<pid_t> children;
  const std::string text = file_.valid() ? reread_file(file_.get()) : "";
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    pid_t pid = 0;
    (void)std::from_chars(word.data(), word.data() + word.size(), pid);
    if (pid > 0) children.push_back(pid);
  }
  return children;
}

}  // namespace clusterd
