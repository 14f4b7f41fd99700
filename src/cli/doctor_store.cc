// The scheduler's database.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "cli/doctor_checks.h"
#include "core/clock.h"
#include "core/units.h"
#include "store/etcd_client.h"
#include "store/etcd_keys.h"
#include "store/etcd_loader.h"
#include "store/sqlite_archive.h"

namespace clusterd {
namespace {

constexpr char kCheck[] = "store";
// Of larger ones only the format is looked at; `clusterd store check` looks through all.
constexpr uint64_t kQuicklyReadBytes = 256ULL << 20;
constexpr uint64_t kLongLogBytes = 1ULL << 30;

uint64_t size_of(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

void check_folder(const std::string& path, Findings& findings) {
  std::error_code error;
  const auto folder = std::filesystem::absolute(path, error).parent_path();
  if (::access(folder.c_str(), R_OK | W_OK | X_OK) == 0) return;
  add_error(findings, "permissions",
            absl::StrCat("store.path: ", folder.native(), ": ", std::strerror(errno)),
            "make the folder, and give it to the service's user (mode 0700)");
}

void check_content(const std::string& path, Findings& findings) {
  const auto check = check_sqlite(path);
  const std::string restore =
      "stop the scheduler, move the file away, and restore the last archive: `clusterd store "
      "import`";
  if (!check.ok()) {
    const bool is_other = absl::IsFailedPrecondition(check.status());
    return add_error(findings, kCheck, std::string(check.status().message()),
                     is_other
                         ? "start the scheduler of the right version, or name another store.path"
                         : restore);
  }
  for (const std::string& fault : check->faults) {
    add_error(findings, kCheck, absl::StrCat(path, ": ", fault), restore);
  }
  const auto aside = check->counts.find("set aside");
  if (aside != check->counts.end()) {
    add_warning(
        findings, kCheck,
        absl::StrCat(path, ": ", aside->second, " records could not be read and were set aside"),
        "they are in the table set_aside; the log of the scheduler's start named them");
  }
  if (check->faults.empty()) add_good(findings, kCheck, path + " is sound");
}

// Whether it answers, and has a store that this program reads.
void check_etcd_store(const SchedulerConfig::Store& store, Findings& findings) {
  const SystemClock clock;
  const auto client = EtcdClient::make(store, clock);
  const auto meta = client.ok() ? read_etcd_meta(**client, EtcdKeys(store.prefix))
                                : absl::StatusOr<internal::StoreMeta>(client.status());
  if (meta.ok() || absl::IsNotFound(meta.status())) {
    return add_good(findings, kCheck,
                    meta.ok() ? "etcd answers, and its store has the right format"
                              : absl::StrCat("etcd answers; the first start makes the store below ",
                                             store.prefix));
  }
  add_error(findings, kCheck, std::string(meta.status().message()),
            "see [store] endpoints, use_tls, user; `etcdctl endpoint health` asks etcd itself");
}

}  // namespace

void check_store(const SchedulerConfig& config, Findings& findings) {
  if (config.store.backend == "etcd") return check_etcd_store(config.store, findings);
  const std::string& path = config.store.path;
  check_folder(path, findings);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return add_good(findings, kCheck, path + " is not there; the first start makes it");
  }
  if ((info.st_mode & 077) != 0) {
    add_warning(findings, "permissions", path + " can be read by others",
                absl::StrCat("chmod 0600 ", path));
  }
  const uint64_t log = size_of(path + "-wal");
  if (log > kLongLogBytes) {
    add_warning(
        findings, kCheck,
        absl::StrCat(path, "-wal has ", format_size(log), ": it is not moved into the file"),
        "a reader holds it (an export, a copy of the file): let it end");
  }
  if (size_of(path) <= kQuicklyReadBytes) return check_content(path, findings);
  const auto workers = workers_in_sqlite(path);  // opens it, and looks at its format
  if (workers.ok()) {
    return add_good(findings, kCheck,
                    path + " has the right format; `clusterd store check` looks through all of it");
  }
  add_error(findings, kCheck, std::string(workers.status().message()),
            "`clusterd store check` says more");
}

}  // namespace clusterd
