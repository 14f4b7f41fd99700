#include "worker/machine.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <fstream>
#include <thread>

#include "clusterd/version.h"
#include "core/utf8.h"
#include "core/worker_features.h"

namespace clusterd {
namespace {

std::string first_word(const char* path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

}  // namespace

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "worker";
  return to_valid_utf8(name.data());
}

v1::WorkerIdentity machine_identity() {
  v1::WorkerIdentity identity;
  identity.set_boot_id(first_word("/proc/sys/kernel/random/boot_id"));
  const std::string machine = first_word("/etc/machine-id");
  identity.set_machine_id(machine.empty() ? "host:" + host_name() : machine);
  identity.set_version(version());
  for (const char* feature : {kDeletesOutputs, kKnowsLimits, kKnowsUploads, kKnowsGangs}) {
    identity.add_features(feature);
  }
  return identity;
}

v1::Resources machine_capacity(const WorkerConfig::Capacity& configured) {
  const uint32_t processors = std::max(1U, std::thread::hardware_concurrency());
  v1::Resources capacity;
  capacity.set_slots(configured.slots != 0 ? configured.slots : processors);
  capacity.set_cpus(configured.cpus > 0 ? configured.cpus : processors);
  const auto memory =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  capacity.set_memory_bytes(configured.memory_bytes != 0 ? configured.memory_bytes : memory);
  capacity.mutable_custom()->insert(configured.custom.begin(), configured.custom.end());
  return capacity;
}

}  // namespace clusterd
