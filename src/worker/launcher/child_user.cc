#include "worker/launcher/child_user.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace clusterd {
namespace {

constexpr auto kUnchanged = static_cast<uid_t>(-1);

bool drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, 2> none{};
  return ::syscall(SYS_capset, &header, none.data()) == 0;
}

}  // namespace

bool look_as(const ChildUser& user) {
  if (!user.is_another) return true;
  const bool switched = ::syscall(SYS_setgroups, user.group_count, user.groups) == 0 &&
                        ::syscall(SYS_setresgid, user.gid, user.gid, user.gid) == 0 &&
                        ::syscall(SYS_setresuid, kUnchanged, user.uid, kUnchanged) == 0;
  // The kernel may have made the memory, which is the launcher's too, readable for the user.
  (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  return switched && (user.uid == 0 || drop_capabilities());
}

bool become(const ChildUser& user) {
  (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (!user.allow_new_privileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  if (!user.is_another) return true;
  const bool switched = ::syscall(SYS_setresuid, user.uid, user.uid, user.uid) == 0;
  (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  return switched;
}

}  // namespace clusterd
