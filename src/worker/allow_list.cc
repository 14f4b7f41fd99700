#include "worker/allow_list.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_split.h"
#include "core/field_error.h"

namespace clusterd {
namespace {

bool is_executable(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0;
}

std::string look_up(const std::string& entry, const std::string& search_path) {
  if (entry.find('/') != std::string::npos) {
    return entry.front() == '/' && is_executable(entry) ? entry : "";
  }
  for (const absl::string_view folder : absl::StrSplit(search_path, ':', absl::SkipEmpty())) {
    if (folder.front() != '/') continue;
    std::string candidate = std::string(folder) + "/" + entry;
    if (is_executable(candidate)) return candidate;
  }
  return "";
}

}  // namespace

AllowList::AllowList(std::string key, const std::vector<std::string>& entries,
                     const std::string& search_path, std::string field)
    : key_(std::move(key)), field_(std::move(field)) {
  for (const std::string& entry : entries) {
    if (!entry.empty()) entries_.push_back({entry, look_up(entry, search_path)});
  }
}

absl::StatusOr<std::string> AllowList::find(const std::string& requested) const {
  const Entry* match = nullptr;
  for (const Entry& entry : entries_) {
    if (entry.text != requested && entry.text.substr(entry.text.rfind('/') + 1) != requested) {
      continue;
    }
    if (!entry.executable.empty()) return entry.executable;
    match = &entry;
  }
  if (match != nullptr) {
    return field_error(
        absl::StatusCode::kFailedPrecondition, field_,
        "\"" + requested + "\" is in " + key_ + ", but this machine has no such executable");
  }
  std::string allowed;
  std::string line;
  for (const Entry& entry : entries_) {
    allowed += (allowed.empty() ? "" : ", ") + entry.text;
    line += "\"" + entry.text + "\", ";
  }
  return field_error(absl::StatusCode::kPermissionDenied, field_,
                     "\"" + requested + "\" is not in this worker's " + key_ + ": " +
                         (allowed.empty() ? "none are allowed" : allowed) +
                         "; to allow it, write under [jobs]: " + key_ + " = [" + line + "\"" +
                         requested + "\"]");
}

std::vector<std::string> AllowList::missing() const {
  std::vector<std::string> texts;
  for (const Entry& entry : entries_) {
    if (entry.executable.empty()) texts.push_back(entry.text);
  }
  return texts;
}

}  // namespace clusterd
