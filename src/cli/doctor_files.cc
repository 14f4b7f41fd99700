// Certificates, disks, clocks and folders.
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/doctor_checks.h"
#include "cli/run_daemon.h"
#include "core/units.h"
#include "rpc/certificate.h"
#include "rpc/tls_material.h"
#include "worker/allow_list.h"
#include "worker/job_user.h"
#include "worker/launcher/cgroup_places.h"

namespace clusterd {
namespace {

namespace fs = std::filesystem;
using std::chrono::system_clock;

constexpr char kCertificates[] = "certificates";
constexpr int64_t kSoonDays = 21;

std::optional<std::string> text_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void check_expiry(const std::string& key, const std::string& path, WallTime now,
                  Findings& findings) {
  const auto text = text_of(path);
  const auto certificates = parse_certificates(text.value_or(""));
  if (!certificates.ok()) return;  // TlsMaterial says so
  const std::string renew =
      "issue another one (`clusterd tls issue`) and put it in its place; no restart is needed";
  for (const CertificatePtr& certificate : *certificates) {
    const CertificateFacts facts = facts_of(*certificate);
    const auto left = std::chrono::duration_cast<std::chrono::hours>(
        facts.not_after - std::chrono::time_point_cast<system_clock::duration>(now));
    const std::string what = absl::StrCat(key, ": ", path, ": ", facts.subject);
    if (left.count() < 0) {
      add_error(findings, kCertificates,
                absl::StrCat(what, " has expired at ", format_time(facts.not_after)), renew);
    } else if (left.count() < kSoonDays * 24) {
      add_warning(findings, kCertificates,
                  absl::StrCat(what, " expires in ", left.count() / 24, " days"), renew);
    } else {
      add_good(findings, kCertificates,
               absl::StrCat(what, " is good until ", format_time(facts.not_after)));
    }
  }
}

void check_key_mode(const std::string& key, const std::string& path, Findings& findings) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return;
  if ((info.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) == 0) return;
  add_error(findings, kCertificates,
            absl::StrCat(key, ": ", path, " can be read or written by other users of this machine"),
            absl::StrCat("chmod 0640 ", path, ", with the service's group, or 0600 with its user"));
}

// The nearest folder that is there.
fs::path nearest_folder(const std::string& path) {
  std::error_code error;
  fs::path nearest = fs::absolute(path, error);
  while (!fs::is_directory(nearest, error) && nearest.has_relative_path()) {
    nearest = nearest.parent_path();
  }
  return nearest;
}

bool is_root_of_hierarchy(const std::string& folder) {
  return ::access((folder + "/cgroup.events").c_str(), F_OK) != 0;
}

// Which controllers of version 2 a cgroup can hand on.
bool has_controller(const std::string& folder, std::string_view controller) {
  std::istringstream words(text_of(folder + "/cgroup.controllers").value_or(""));
  return std::find(std::istream_iterator<std::string>(words), {}, controller) !=
         std::istream_iterator<std::string>();
}

}  // namespace

void check_certificates(const std::string& table, const ListenerConfig& listener, WallTime now,
                        Findings& findings) {
  if (!listener.use_tls) {
    if (listener.allow_insecure) {
      add_warning(findings, kCertificates,
                  absl::StrCat("[", table, "] listens at ", listener.addr,
                               " without TLS: whoever reaches it can run jobs"),
                  "make certificates with `clusterd tls init`, and set use_tls = true");
    }
    return;
  }
  TlsSettings settings{
      .table = table, .crt_file = listener.crt_file, .key_file = listener.key_file};
  settings.ca_file = listener.ca_file;
  settings.crl_file = listener.crl_file;
  settings.cluster = listener.cluster;
  settings.identities = listener.identities;
  const auto material =
      TlsMaterial::load(settings, std::chrono::time_point_cast<system_clock::duration>(now));
  if (!material.ok()) {
    add_error(findings, kCertificates, std::string(material.status().message()),
              "`clusterd tls verify` checks one certificate, `clusterd tls show` prints it");
  } else {
    for (const std::string& warning : (*material)->warnings()) {
      add_warning(findings, kCertificates, absl::StrCat("[", table, "] ", warning),
                  "make a new list with `clusterd tls revoke`, or a new certificate");
    }
  }
  check_expiry(table + ".crt_file", listener.crt_file, now, findings);
  if (!listener.ca_file.empty()) check_expiry(table + ".ca_file", listener.ca_file, now, findings);
  check_key_mode(table + ".key_file", listener.key_file, findings);
}

void check_clock(Findings& findings) {
  timex state{};
  const int result = ::adjtimex(&state);
  if (result != TIME_ERROR && (state.status & STA_UNSYNC) == 0) {
    return add_good(findings, "clock", "the machine's clock is synchronised");
  }
  add_warning(findings, "clock",
              "nothing keeps this machine's clock right, as far as the kernel knows",
              "run chrony or systemd-timesyncd (in a container: on its machine): certificates and "
              "times of jobs go by the clock");
}

void check_disk(const std::string& key, const std::string& path, uint64_t least,
                Findings& findings) {
  const std::string folder = nearest_folder(path).native();
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) {
    return add_error(findings, "disk", absl::StrCat(key, ": ", folder, " cannot be looked at"),
                     "let the service's user pass to it");
  }
  const uint64_t free = static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  const std::string text = absl::StrCat(key, ": ", format_size(free), " are free at ", folder);
  if (info.f_files > 0 && info.f_favail * 100 < info.f_files) {
    add_warning(findings, "disk",
                absl::StrCat(key, ": less than a hundredth of the inodes at ", folder, " is free"),
                "remove files, or shorten retention.max_age");
  }
  const std::string mend =
      "make room, or move it to a larger disk; retention.max_age bounds what is kept";
  if (free < least) {
    add_error(findings, "disk", absl::StrCat(text, ", it needs ", format_size(least)), mend);
  } else if (free / 2 < least) {
    add_warning(findings, "disk", absl::StrCat(text, ", not twice what it needs"), mend);
  } else {
    add_good(findings, "disk", text);
  }
}

void check_worker_files(const WorkerConfig& config, Findings& findings) {
  const auto to_be_made = check_folders(config);
  if (!to_be_made.ok()) {
    add_error(
        findings, "permissions", std::string(to_be_made.status().message()),
        "scripts_dir and what is above and in it: writable by root and the service's user only "
        "(chmod go-w); data_dir: the service's own");
  } else {
    add_good(findings, "permissions", "the folders of jobs are as they must be");
    for (const std::string& folder : *to_be_made) {
      add_warning(findings, "permissions", folder + " is not there; the start makes it",
                  "nothing, if the path is right");
    }
  }
  if (config.jobs.run_as.empty()) {
    add_warning(findings, "permissions",
                "jobs run as the worker's own user: they can read its keys and change its data",
                "set jobs.run_as to a user of their own");
  }
  struct stat info {};
  if (::stat(config.jobs.data_dir.c_str(), &info) == 0 && info.st_uid != ::geteuid() &&
      ::geteuid() != 0) {
    add_warning(
        findings, "permissions",
        absl::StrCat("jobs.data_dir: ", config.jobs.data_dir, " belongs to user ", info.st_uid,
                     "; what is said of permissions here is of user ", ::geteuid()),
        "run this as root or as that user");
  }
  const char* path = std::getenv("PATH");
  for (const AllowList& list :
       {AllowList("allowed_commands", config.jobs.allowed_commands, path == nullptr ? "" : path),
        AllowList("allowed_programs", config.jobs.allowed_programs, path == nullptr ? "" : path)}) {
    for (const std::string& missing : list.missing()) {
      add_warning(findings, "commands", missing + " is allowed and not on this machine",
                  "install it, or take it off jobs.allowed_commands or allowed_programs");
    }
  }
}

void check_cgroups(const WorkerConfig& config, Findings& findings) {
  constexpr char kCheck[] = "cgroups";
  if (config.limits.cgroups == "off") {
    return add_warning(findings, kCheck,
                       "limits.cgroups is off: jobs with limits are refused, and a process can "
                       "escape its job's stop",
                       "set limits.cgroups = \"auto\"");
  }
  const auto places = find_cgroup_places(text_of("/proc/self/mountinfo").value_or(""),
                                         text_of("/proc/self/cgroup").value_or(""));
  const std::string& parent = config.limits.cgroup_parent;
  for (const std::string_view controller : {kMemoryController, kPidsController, kCpuController}) {
    bool is_there = false;
    for (const CgroupPlace& place : places) {
      const std::string& folder = place.mount;
      is_there = is_there || place.hierarchy == controller ||
                 (place.hierarchy == kUnifiedHierarchy && has_controller(folder, controller));
    }
    if (is_there) {
      add_good(findings, kCheck,
               absl::StrCat("the kernel has the controller ", std::string(controller)));
    } else {
      add_warning(
          findings, kCheck,
          absl::StrCat("no cgroup has the controller ", std::string(controller),
                       ": jobs that ask for its limit are not placed here"),
          "boot with systemd.unified_cgroup_hierarchy=1, or in a container give it one that "
          "may be written");
    }
  }
  for (const CgroupPlace& place : places) {
    if (place.hierarchy != kUnifiedHierarchy || parent.empty()) continue;
    const std::string folder = place.mount + "/" + parent;
    if (::access(folder.c_str(), F_OK) == 0) continue;
    add_warning(findings, kCheck, absl::StrCat("limits.cgroup_parent: ", folder, " is not there"),
                "start clusterd-jobs.service, which makes it");
  }
  const bool may_divide =
      ::geteuid() == 0 || !parent.empty() ||
      std::any_of(places.begin(), places.end(), [](const CgroupPlace& place) {
        return !is_root_of_hierarchy(place.folder) && ::access(place.folder.c_str(), W_OK) == 0;
      });
  if (!may_divide) {
    add_warning(findings, kCheck, "this user has no cgroup that it may divide",
                "run the worker by its unit, with clusterd-jobs.service, or with Delegate=yes");
  }
}

}  // namespace clusterd
