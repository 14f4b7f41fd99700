#include "scheduler/resources_sum.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace clusterd {
namespace {

// Sums of fractions such as 0.1 + 0.2 stay comparable.
constexpr double kCpuTolerance = 1e-9;

uint32_t units_in(const v1::Resources& resources, const std::string& name) {
  const auto found = resources.custom().find(name);
  return found == resources.custom().end() ? 0 : found->second;
}

std::string free_text(uint64_t has, uint64_t used) {
  return absl::StrCat(has > used ? has - used : 0, " of ", has, " are free");
}

bool lacks_units(const v1::Resources& has, const v1::Resources& used, const std::string& name,
                 uint32_t count) {
  return uint64_t{units_in(used, name)} + count > units_in(has, name);
}

enum class Lack { kNone, kTaken, kShared, kSlots, kCpus, kMemory, kUnits };

Lack first_lack(const v1::Resources& has, const v1::Resources& used, size_t jobs,
                const v1::Resources& wants) {
  if (used.exclusive()) return Lack::kTaken;
  if (wants.exclusive() && jobs > 0) return Lack::kShared;
  if (uint64_t{used.slots()} + slots_of(wants) > has.slots()) return Lack::kSlots;
  if (wants.cpus() > 0 && used.cpus() + wants.cpus() > has.cpus() + kCpuTolerance) {
    return Lack::kCpus;
  }
  const uint64_t free_memory =
      has.memory_bytes() - std::min(has.memory_bytes(), used.memory_bytes());
  if (wants.memory_bytes() > free_memory) {
    return Lack::kMemory;
  }
  for (const auto& [name, count] : wants.custom()) {
    if (lacks_units(has, used, name, count)) return Lack::kUnits;
  }
  return Lack::kNone;
}

}  // namespace

uint32_t slots_of(const v1::Resources& wants) { return std::max(1U, wants.slots()); }

void add_to(v1::Resources& used, const v1::Resources& wants) {
  used.set_slots(used.slots() + slots_of(wants));
  used.set_cpus(used.cpus() + wants.cpus());
  used.set_memory_bytes(used.memory_bytes() + wants.memory_bytes());
  for (const auto& [name, count] : wants.custom()) (*used.mutable_custom())[name] += count;
  if (wants.exclusive()) used.set_exclusive(true);
}

void take_from(v1::Resources& used, const v1::Resources& wants) {
  used.set_slots(used.slots() - slots_of(wants));
  used.set_cpus(used.cpus() - wants.cpus());
  used.set_memory_bytes(used.memory_bytes() - wants.memory_bytes());
  for (const auto& [name, count] : wants.custom()) {
    uint32_t& left = (*used.mutable_custom())[name];
    left -= count;
    if (left == 0) used.mutable_custom()->erase(name);
  }
  if (wants.exclusive()) used.clear_exclusive();
}

google::protobuf::RepeatedPtrField<v1::AssignedUnits> free_units(const UnitsInUse& in_use,
                                                                 const v1::Resources& wants) {
  google::protobuf::RepeatedPtrField<v1::AssignedUnits> units;
  for (const auto& [name, count] :
       std::map<std::string, uint32_t>(wants.custom().begin(), wants.custom().end())) {
    v1::AssignedUnits& assigned = *units.Add();
    assigned.set_name(name);
    const auto found = in_use.find(name);
    for (uint32_t id = 0; assigned.ids_size() < static_cast<int>(count); ++id) {
      if (found == in_use.end() || !found->second.contains(id)) assigned.add_ids(id);
    }
  }
  return units;
}

bool fits(const v1::Resources& has, const v1::Resources& used, size_t jobs,
          const v1::Resources& wants) {
  return first_lack(has, used, jobs, wants) == Lack::kNone;
}

std::string lack_of(const v1::Resources& has, const v1::Resources& used, size_t jobs,
                    const v1::Resources& wants) {
  switch (first_lack(has, used, jobs, wants)) {
    case Lack::kNone:
      return "";
    case Lack::kTaken:
      return "a job has it to itself";
    case Lack::kShared:
      return absl::StrCat("runs ", jobs, jobs == 1 ? " job" : " jobs",
                          ", and the job needs a worker of its own");
    case Lack::kSlots:
      return absl::StrCat("needs ", slots_of(wants), " slots, ",
                          free_text(has.slots(), used.slots()));
    case Lack::kCpus:
      return absl::StrCat("needs ", wants.cpus(), " cpus, ", has.cpus() - used.cpus(), " of ",
                          has.cpus(), " are free");
    case Lack::kMemory:
      return absl::StrCat("needs ", wants.memory_bytes(), " bytes of memory, ",
                          free_text(has.memory_bytes(), used.memory_bytes()));
    case Lack::kUnits:
      break;
  }
  std::string lacking;  // the first by name: a map of protobuf has no order
  for (const auto& [name, count] : wants.custom()) {
    if (!lacks_units(has, used, name, count)) continue;
    if (lacking.empty() || name < lacking) lacking = name;
  }
  return absl::StrCat("needs ", units_in(wants, lacking), " ", lacking, ", ",
                      free_text(units_in(has, lacking), units_in(used, lacking)));
}

uint32_t room_for(const v1::Resources& has, const v1::Resources& used, size_t jobs,
                  const v1::Resources& wants, uint32_t limit) {
  if (!fits(has, used, jobs, wants)) return 0;
  if (wants.exclusive()) return std::min(1U, limit);
  uint64_t room = std::min<uint64_t>(limit, (has.slots() - used.slots()) / slots_of(wants));
  if (wants.cpus() > 0) {
    const double by_cpus = (has.cpus() - used.cpus() + kCpuTolerance) / wants.cpus();
    room = std::min(room, static_cast<uint64_t>(std::min<double>(by_cpus, limit)));
  }
  if (wants.memory_bytes() > 0) {
    room = std::min(room, (has.memory_bytes() - used.memory_bytes()) / wants.memory_bytes());
  }
  for (const auto& [name, count] : wants.custom()) {
    room = std::min<uint64_t>(room, (units_in(has, name) - units_in(used, name)) / count);
  }
  return static_cast<uint32_t>(room);
}

}  // namespace clusterd
