#include "worker/launcher/cgroup_places.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

std::vector<std::string> texts(const std::vector<CgroupPlace>& places) {
  std::vector<std::string> result;
  for (const CgroupPlace& place : places) {
    result.push_back(place.hierarchy + " " + place.mount + " " + place.folder);
  }
  return result;
}

using Texts = std::vector<std::string>;

TEST_CASE("version 2 alone has one place", "[cgroups]") {
  const auto places = find_cgroup_places(
      "22 1 0:21 / /proc rw - proc proc rw\n"
      "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
      "0::/system.slice/worker.service\n");

  CHECK(texts(places) ==
        Texts{"unified /sys/fs/cgroup /sys/fs/cgroup/system.slice/worker.service"});
}

TEST_CASE("a hybrid has the unified hierarchy first, then the controllers", "[cgroups]") {
  const auto places = find_cgroup_places(
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n"
      "39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
      "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
      "9:name=systemd:/user\n8:pids:/\n5:devices:/a\n4:memory:/own/deep\n1:cpu,cpuacct:/\n0::/\n");

  CHECK(texts(places) == Texts{"unified /sys/fs/cgroup/unified /sys/fs/cgroup/unified",
                               "pids /sys/fs/cgroup/pids /sys/fs/cgroup/pids",
                               "memory /sys/fs/cgroup/memory /sys/fs/cgroup/memory/own/deep",
                               "cpu /sys/fs/cgroup/cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct"});
}

TEST_CASE("a container sees its own part of a hierarchy as the whole", "[cgroups]") {
  const std::string memory =
      "35 31 0:32 /docker/7 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";

  CHECK(texts(find_cgroup_places(memory, "4:memory:/docker/7\n")) ==
        Texts{"memory /sys/fs/cgroup/memory /sys/fs/cgroup/memory"});
  CHECK(texts(find_cgroup_places(memory, "4:memory:/docker/7/own\n")) ==
        Texts{"memory /sys/fs/cgroup/memory /sys/fs/cgroup/memory/own"});
  CHECK(find_cgroup_places(memory, "4:memory:/docker/77\n").empty());
  CHECK(find_cgroup_places(memory, "4:memory:/\n").empty());
}

TEST_CASE("what lies outside of what can be seen is no place", "[cgroups]") {
  const std::string unified = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

  CHECK(find_cgroup_places(unified, "0::/../beside\n").empty());
  CHECK(find_cgroup_places("", "0::/\n").empty());
  CHECK(find_cgroup_places(unified, "").empty());
  CHECK(find_cgroup_places("torn - line\n41 31\n", "nonsense\n0::\n").empty());
}

TEST_CASE("blanks in a mount's path are read", "[cgroups]") {
  const auto places =
      find_cgroup_places("41 31 0:38 / /my\\040cgroups rw - cgroup2 cgroup2 rw\n", "0::/a b\n");

  CHECK(texts(places) == Texts{"unified /my cgroups /my cgroups/a b"});
}

}  // namespace
}  // namespace clusterd
