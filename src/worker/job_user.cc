#include "worker/job_user.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/field_error.h"

namespace clusterd {
namespace {

constexpr char kField[] = "run_as";
constexpr size_t kMaxEntryBytes = 1 << 20;  // of one entry of the user database

// What it takes to start, feed, signal and clean up after processes of other users.
constexpr std::array kNeeded = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,
                                CAP_KILL,  CAP_SETGID,       CAP_SETUID};

bool may_change_users() {
  if (::geteuid() == 0) return true;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return false;
  return std::all_of(kNeeded.begin(), kNeeded.end(), [&data](int capability) {
    const auto bit = static_cast<unsigned>(capability);
    return (data.at(bit / 32).effective & (1U << (bit % 32))) != 0;
  });
}

absl::StatusOr<passwd> find_entry(const std::string& name, std::string& buffer) {
  passwd entry{};
  passwd* found = nullptr;
  int error = 0;
  uid_t number = 0;
  const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_number = problem == std::errc() && end == name.data() + name.size();
  for (buffer.resize(1 << 12); buffer.size() <= kMaxEntryBytes; buffer.resize(buffer.size() * 2)) {
    error = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (error != ERANGE && found == nullptr && is_number) {
      error = ::getpwuid_r(number, &entry, buffer.data(), buffer.size(), &found);
    }
    if (error != ERANGE) break;
  }
  if (found != nullptr) return entry;
  if (error == 0 || error == ENOENT || error == ESRCH) {
    return absl::NotFoundError(absl::StrCat("this machine has no user \"", name, "\""));
  }
  return absl::UnavailableError(absl::StrCat("user \"", name, "\": ", std::strerror(error)));
}

}  // namespace

absl::StatusOr<JobUser> look_up_user(const std::string& name) {
  std::string buffer;
  const auto entry = find_entry(name, buffer);
  if (!entry.ok()) return entry.status();
  JobUser user;
  user.ids.set_name(entry->pw_name);
  user.ids.set_uid(entry->pw_uid);
  user.ids.set_gid(entry->pw_gid);
  user.home = entry->pw_dir;
  std::vector<gid_t> groups(64);
  auto count = static_cast<int>(groups.size());
  while (::getgrouplist(entry->pw_name, entry->pw_gid, groups.data(), &count) < 0) {
    if (static_cast<size_t>(count) <= groups.size()) {
      return absl::UnavailableError(absl::StrCat("the groups of user \"", name, "\""));
    }
    groups.resize(static_cast<size_t>(count));
  }
  for (int i = 0; i < count; ++i) user.ids.add_groups(groups[static_cast<size_t>(i)]);
  return user;
}

JobUsers::JobUsers(std::string run_as, std::vector<std::string> allowed_users)
    : run_as_(std::move(run_as)), allowed_(std::move(allowed_users)) {}

absl::StatusOr<std::optional<JobUser>> JobUsers::resolve(const std::string& name) const {
  if (name == std::to_string(::geteuid())) return std::nullopt;  // also where it has no name
  auto user = look_up_user(name);
  if (!user.ok()) {
    return field_error(absl::StatusCode::kFailedPrecondition, kField,
                       std::string(user.status().message()));
  }
  if (user->ids.uid() == ::geteuid()) return std::nullopt;
  if (may_change_users()) return *std::move(user);
  return field_error(absl::StatusCode::kFailedPrecondition, kField,
                     absl::StrCat("the worker cannot run jobs as \"", name,
                                  "\": it runs neither as root nor with the capabilities CHOWN, "
                                  "DAC_OVERRIDE, FOWNER, KILL, SETGID and SETUID"));
}

absl::StatusOr<std::optional<JobUser>> JobUsers::choose(const std::string& requested) const {
  if (requested.empty()) {
    if (run_as_.empty()) return std::nullopt;
    return resolve(run_as_);
  }
  const bool is_listed = std::find(allowed_.begin(), allowed_.end(), requested) != allowed_.end();
  if (is_listed) return resolve(requested);
  // What the job would get anyway may be named; but that is no way to root.
  const auto user = look_up_user(requested);
  if (user.ok() && user->ids.uid() != 0) {
    const auto usual =
        run_as_.empty() ? absl::StatusOr<JobUser>(absl::NotFoundError("")) : look_up_user(run_as_);
    const bool is_own = run_as_.empty() && user->ids.uid() == ::geteuid();
    if (is_own || (usual.ok() && usual->ids.uid() == user->ids.uid())) return resolve(requested);
  }
  return field_error(
      absl::StatusCode::kPermissionDenied, kField,
      absl::StrCat("\"", requested, "\" is not in this worker's allowed_users: ",
                   allowed_.empty() ? "none are allowed" : absl::StrJoin(allowed_, ", ")));
}

std::vector<absl::Status> JobUsers::problems() const {
  std::vector<absl::Status> problems;
  if (!run_as_.empty()) {
    if (const auto user = resolve(run_as_); !user.ok()) problems.push_back(user.status());
  }
  for (const std::string& name : allowed_) {
    if (const auto user = resolve(name); !user.ok()) problems.push_back(user.status());
  }
  return problems;
}

bool JobUsers::may_switch() const {
  const auto is_another = [](const std::string& name) {
    if (name == std::to_string(::geteuid())) return false;
    const auto user = look_up_user(name);
    return !user.ok() || user->ids.uid() != ::geteuid();
  };
  return (!run_as_.empty() && is_another(run_as_)) ||
         std::any_of(allowed_.begin(), allowed_.end(), is_another);
}

}  // namespace clusterd
