#include "worker/launcher/cgroup_places.h"

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/str_split.h"

namespace clusterd {
namespace {

using Words = std::vector<std::string>;

constexpr std::array kControllers = {kMemoryController, kPidsController, kCpuController};

struct Mount {
  std::string root;  // the folder of the hierarchy that is mounted
  std::string point;
  bool is_unified = false;
  Words options;  // of version 1: its controllers among them
};

Words split(std::string_view text, char at) {
  return absl::StrSplit(absl::string_view(text.data(), text.size()), at);
}

// The kernel writes blanks, tabs, newlines and backslashes in octal.
std::string unescape(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] != '\\' || i + 3 >= text.size() || !digit(i + 1) || !digit(i + 2) ||
        !digit(i + 3)) {
      result += text[i];
      continue;
    }
    result +=
        static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return result;
}

std::optional<Mount> parse_mount(std::string_view line) {
  const size_t separator = line.find(" - ");
  if (separator == std::string_view::npos) return std::nullopt;
  const Words before = split(line.substr(0, separator), ' ');
  const Words after = split(line.substr(separator + 3), ' ');
  if (before.size() < 5 || after.size() < 3) return std::nullopt;
  if (after[0] != "cgroup" && after[0] != "cgroup2") return std::nullopt;
  return Mount{unescape(before[3]), unescape(before[4]), after[0] == "cgroup2",
               split(after[2], ',')};
}

// Where `path` of a hierarchy is seen through a mount of its folder `root`.
std::optional<std::string> seen_through(const Mount& mount, const std::string& path) {
  if (path.starts_with("/..")) return std::nullopt;  // outside of what a container sees
  if (mount.root == "/") return path == "/" ? mount.point : mount.point + path;
  if (path == mount.root) return mount.point;
  if (!path.starts_with(mount.root + "/")) return std::nullopt;
  return mount.point + path.substr(mount.root.size());
}

void add_place(const std::vector<Mount>& mounts, std::string_view hierarchy,
               const std::string& path, std::vector<CgroupPlace>& places) {
  const bool is_known = std::any_of(places.begin(), places.end(), [&](const CgroupPlace& place) {
    return place.hierarchy == hierarchy;
  });
  if (is_known) return;
  for (const Mount& mount : mounts) {
    const bool has_it =
        std::find(mount.options.begin(), mount.options.end(), hierarchy) != mount.options.end();
    const bool matches =
        hierarchy == kUnifiedHierarchy ? mount.is_unified : !mount.is_unified && has_it;
    const auto folder = matches ? seen_through(mount, path) : std::nullopt;
    if (!folder) continue;
    places.push_back({std::string(hierarchy), mount.point, *folder});
    return;
  }
}

}  // namespace

std::vector<CgroupPlace> find_cgroup_places(std::string_view mountinfo, std::string_view own) {
  std::vector<Mount> mounts;
  for (const std::string& line : split(mountinfo, '\n')) {
    if (auto mount = parse_mount(line)) mounts.push_back(*std::move(mount));
  }
  std::vector<CgroupPlace> places;
  for (const std::string& line : split(own, '\n')) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      add_place(mounts, kUnifiedHierarchy, path, places);
      continue;
    }
    for (const std::string& controller : split(controllers, ',')) {
      const bool is_used =
          std::find(kControllers.begin(), kControllers.end(), controller) != kControllers.end();
      if (is_used) add_place(mounts, controller, path, places);
    }
  }
  std::stable_partition(places.begin(), places.end(), [](const CgroupPlace& place) {
    return place.hierarchy == kUnifiedHierarchy;
  });
  return places;
}

}  // namespace clusterd
