#include "worker/launcher/cgroup_home.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/log.h"
#include "worker/data_dir_name.h"
#include "worker/launcher/cgroup_file.h"
#include "worker/launcher/cgroup_places.h"
#include "worker/unique_fd.h"

namespace clusterd {
namespace {

constexpr std::array kControllers = {kMemoryController, kPidsController, kCpuController};
// Where the daemons go that are in a cgroup that is to be divided.
constexpr const char* kDaemons = "clusterd-daemons";
constexpr int kMoveRounds = 10;

// By which a controller of version 1 shows that it can do what is asked of it.
const char* limit_file(std::string_view controller) {
  if (controller == kMemoryController) return "memory.limit_in_bytes";
  if (controller == kPidsController) return "pids.max";
  return "cpu.cfs_quota_us";
}

// Its name in `Limits`.
const char* field_of(std::string_view controller) {
  if (controller == kMemoryController) return "memory_bytes";
  if (controller == kPidsController) return "pids";
  return "cpus";
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool is_folder(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

UniqueFd open_folder(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

bool has_file(const std::string& folder, const char* name) {
  return ::access(absl::StrCat(folder, "/", name).c_str(), F_OK) == 0;
}

// The service manager has given this cgroup of version 2 to its service.
bool is_delegated(const std::string& path) {
  for (const char* name : {"user.delegate", "trusted.delegate"}) {
    char value = 0;
    if (::getxattr(path.c_str(), name, &value, 1) == 1 && value == '1') return true;
  }
  struct stat info {};
  return ::geteuid() != 0 && ::stat(path.c_str(), &info) == 0 && info.st_uid == ::geteuid();
}

// A cgroup of version 2 below which ours are made.
struct Parent {
  std::string path;
  bool is_ours = false;  // with all that is in it
};

Parent choose_parent(const CgroupPlace& place) {
  std::string folder = place.folder;
  // An earlier launcher has moved the daemons.
  if (folder.ends_with(absl::StrCat("/", kDaemons))) return {parent_of(folder), true};
  const bool is_root = !has_file(folder, "cgroup.events");
  if (is_root) return {folder, false};
  if (is_delegated(folder)) return {folder, true};
  // A container: what it sees as the root is its own.
  if (folder == place.mount) return {folder, true};
  const bool sees_root = !has_file(place.mount, "cgroup.events");
  return {::geteuid() == 0 && sees_root ? place.mount : folder, false};
}

absl::Status move_processes(const std::string& from, const std::string& to) {
  if (::mkdir(to.c_str(), 0755) != 0 && errno != EEXIST) return absl::ErrnoToStatus(errno, to);
  const UniqueFd source = open_folder(from);
  const UniqueFd target = open_folder(to);
  for (int round = 0; round < kMoveRounds; ++round) {
    const std::string text = read_cgroup_file(source.get(), "cgroup.procs");
    if (text.empty()) return absl::OkStatus();
    for (const absl::string_view pid : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      (void)write_cgroup_file(target.get(), "cgroup.procs", {pid.data(), pid.size()});
    }
  }
  return absl::UnavailableError(absl::StrCat(from, ": processes stay in it"));
}

// Makes controllers of version 2 reach what lies below `parent`.
void enable_controllers(const Parent& parent) {
  const UniqueFd folder = open_folder(parent.path);
  const auto list = [&](const char* file) -> std::vector<std::string> {
    return absl::StrSplit(read_cgroup_file(folder.get(), file), absl::ByAnyChar(" \n"));
  };
  const std::vector<std::string> available = list("cgroup.controllers");
  const std::vector<std::string> enabled = list("cgroup.subtree_control");
  for (const std::string_view controller : kControllers) {
    const auto is_in = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), controller) != names.end();
    };
    if (!is_in(available) || is_in(enabled)) continue;
    const std::string word = absl::StrCat("+", std::string(controller));
    absl::Status status = write_cgroup_file(folder.get(), "cgroup.subtree_control", word);
    if (!status.ok() && parent.is_ours) {
      status = move_processes(parent.path, absl::StrCat(parent.path, "/", kDaemons));
      if (status.ok()) status = write_cgroup_file(folder.get(), "cgroup.subtree_control", word);
    }
    if (!status.ok()) log_warning("launcher", "a controller stays off", {{"error", status}});
  }
}

bool is_wanted(CgroupMode mode, std::string_view hierarchy) {
  if (mode == CgroupMode::kVersion1) return hierarchy != kUnifiedHierarchy;
  return mode == CgroupMode::kAuto;
}

// "hierarchy path" a line.
std::map<std::string, std::string> read_record(const std::string& path) {
  std::map<std::string, std::string> known;
  std::istringstream lines(text_of(path));
  for (std::string line; std::getline(lines, line);) {
    const size_t blank = line.find(' ');
    if (blank != std::string::npos) known[line.substr(0, blank)] = line.substr(blank + 1);
  }
  return known;
}

absl::Status write_record(const std::string& path,
                          const std::map<std::string, std::string>& known) {
  const std::string beside = path + ".new";
  std::ofstream file(beside, std::ios::trunc);
  for (const auto& [hierarchy, folder] : known) file << hierarchy << ' ' << folder << '\n';
  file.close();
  if (!file.fail() && ::rename(beside.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, path);
}

std::string own_name(const std::string& data_dir) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(data_dir.c_str(), nullptr),
                                                         &std::free);
  return absl::StrCat("/clusterd-", data_dir_name(real == nullptr ? data_dir : real.get()));
}

// The configured one where it is there, else by where this process is.
Parent parent_of_jobs(const CgroupPlace& place, const std::string& configured) {
  if (configured.empty()) return choose_parent(place);
  const std::string folder = absl::StrCat(place.mount, "/", configured);
  if (is_folder(folder)) return {folder, true};
  log_warning("launcher", "limits.cgroup_parent is not there; another one is used",
              {{"folder", folder}});
  return choose_parent(place);
}

std::string place_below(const CgroupPlace& place, const std::string& configured,
                        const std::string& name) {
  if (place.hierarchy != kUnifiedHierarchy) return place.folder + name;
  const Parent parent = parent_of_jobs(place, configured);
  enable_controllers(parent);
  return parent.path + name;
}

}  // namespace

CgroupHome CgroupHome::open(const std::string& data_dir, CgroupMode mode,
                            const std::string& parent) {
  CgroupHome home;
  home.record_ = data_dir + "/launcher/cgroups";
  home.mode_ = mode;
  std::map<std::string, std::string> known = read_record(home.record_);
  std::vector<Folder> wanted;
  for (const CgroupPlace& place :
       find_cgroup_places(text_of("/proc/self/mountinfo"), text_of("/proc/self/cgroup"))) {
    const auto earlier = known.find(place.hierarchy);
    if (earlier != known.end() && is_folder(earlier->second)) {
      wanted.push_back({place.hierarchy, earlier->second});
    } else if (is_wanted(mode, place.hierarchy)) {
      wanted.push_back({place.hierarchy, place_below(place, parent, own_name(data_dir))});
      known[place.hierarchy] = wanted.back().path;
    }
  }
  if (wanted.empty()) return home;
  const absl::Status written = write_record(home.record_, known);
  if (!written.ok()) {
    log_error("launcher", "no cgroups", {{"error", written}});
    for (const Folder& folder : wanted) home.note_failure(folder.hierarchy, written.ToString());
    return home;
  }
  for (const Folder& folder : wanted) home.add(folder.hierarchy, folder.path);
  return home;
}

std::string CgroupHome::tracker() const {
  for (const Folder& folder : folders_) {
    if (is_wanted(mode_, folder.hierarchy)) return folder.hierarchy;
  }
  return "";
}

void CgroupHome::add(const std::string& hierarchy, const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return note_failure(hierarchy, absl::StrCat(path, ": ", std::strerror(errno)));
  }
  const bool is_unified = hierarchy == kUnifiedHierarchy;
  if (!is_unified && !has_file(path, limit_file(hierarchy))) {
    (void)::rmdir(path.c_str());
    return note_failure(hierarchy, absl::StrCat("the kernel has no ", limit_file(hierarchy)));
  }
  folders_.push_back({hierarchy, path});
  if (is_unified) add_controllers(folders_.back());
}

void CgroupHome::add_controllers(const Folder& folder) {
  const UniqueFd open = open_folder(folder.path);
  for (const absl::string_view word :
       absl::StrSplit(read_cgroup_file(open.get(), "cgroup.controllers"), absl::ByAnyChar(" \n"),
                      absl::SkipEmpty())) {
    const std::string_view name(word.data(), word.size());
    if (std::find(kControllers.begin(), kControllers.end(), name) == kControllers.end()) continue;
    const absl::Status status =
        write_cgroup_file(open.get(), "cgroup.subtree_control", absl::StrCat("+", word));
    if (status.ok()) {
      unified_controllers_.emplace_back(name);
    } else {
      note_failure(name, absl::StrCat(folder.path, ": ", status.message()));
    }
  }
}

void CgroupHome::note_failure(std::string_view hierarchy, const std::string& reason) {
  internal::UnenforcedLimit& failure = failures_.emplace_back();
  failure.set_field(std::string(hierarchy));
  failure.set_reason(reason);
}

std::string CgroupHome::hierarchy_of(std::string_view controller) const {
  const auto& unified = unified_controllers_;
  const bool is_unified = std::find(unified.begin(), unified.end(), controller) != unified.end();
  if (is_unified && is_wanted(mode_, kUnifiedHierarchy)) return std::string(kUnifiedHierarchy);
  const bool is_there = is_wanted(mode_, controller) && find(controller) != nullptr;
  return is_there ? std::string(controller) : "";
}

const CgroupHome::Folder* CgroupHome::find(std::string_view hierarchy) const {
  const auto found = std::find_if(folders_.begin(), folders_.end(), [&](const Folder& folder) {
    return folder.hierarchy == hierarchy;
  });
  return found == folders_.end() ? nullptr : &*found;
}

std::vector<internal::UnenforcedLimit> CgroupHome::unenforced() const {
  std::vector<internal::UnenforcedLimit> limits;
  for (const std::string_view controller : kControllers) {
    if (!hierarchy_of(controller).empty()) continue;
    std::string reason =
        absl::StrCat("there is no cgroup with the controller ", std::string(controller));
    for (const internal::UnenforcedLimit& failure : failures_) {
      const bool concerns = failure.field() == controller || failure.field() == kUnifiedHierarchy;
      if (concerns) absl::StrAppend(&reason, "; ", failure.reason());
    }
    if (mode_ == CgroupMode::kOff) reason = "limits.cgroups is off";
    internal::UnenforcedLimit& limit = limits.emplace_back();
    limit.set_field(field_of(controller));
    limit.set_reason(reason);
  }
  return limits;
}

void CgroupHome::remove() const {
  bool is_gone = true;
  for (const Folder& folder : folders_) {
    is_gone = (::rmdir(folder.path.c_str()) == 0 || errno == ENOENT) && is_gone;
  }
  if (is_gone) (void)::unlink(record_.c_str());
}

}  // namespace clusterd
