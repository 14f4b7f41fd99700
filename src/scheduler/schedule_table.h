#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "clusterd/v1/schedule.pb.h"
#include "core/clock.h"
#include "core/cron.h"

namespace clusterd {

// A schedule and what its calendar says.
struct ScheduleEntry {
  v1::Schedule record;
  std::optional<Cron> cron;  // absent: it, or its time zone, is not understood here
  absl::TimeZone zone;
  std::string fault;             // why
  std::optional<WallTime> next;  // the earliest that was not dealt with; absent: none, or paused

  // Times up to here are not looked at any more.
  [[nodiscard]] WallTime dealt_with() const;
  // The next times after `now`, paused or not.
  [[nodiscard]] std::vector<WallTime> upcoming(WallTime now, size_t count) const;
};

// All schedules, by name.
//
// Owned by Scheduler; core thread only. Pointers to entries hold until the entry is erased.
class ScheduleTable {
 public:
  // `began`: when this term of office did.
  ScheduleTable(std::vector<v1::Schedule> records, BootTime began);

  [[nodiscard]] ScheduleEntry* find(const std::string& name);
  // Puts it in, or another in its place.
  ScheduleEntry& put(v1::Schedule record);
  void erase(const std::string& name);
  // Finds `next` anew, after the record has changed.
  static void refresh(ScheduleEntry& entry);

  [[nodiscard]] size_t size() const { return entries_.size(); }
  [[nodiscard]] BootTime began() const { return began_; }
  // Of all scripts that come with the schedules' jobs but this one's, in bytes.
  [[nodiscard]] uint64_t script_bytes_without(const std::string& name) const;
  // The earliest time that was not dealt with.
  [[nodiscard]] std::optional<WallTime> earliest() const;
  // Names of those whose time has come, by time.
  [[nodiscard]] std::vector<std::string> due(WallTime now) const;

  // A copy of the record, but for the content of a script that comes with its job: that may be
  // long.
  [[nodiscard]] static v1::Schedule without_script(ScheduleEntry& entry);

  template <typename Visit>
  void for_each(Visit visit) {
    for (auto& [name, entry] : entries_) visit(entry);
  }

 private:
  std::map<std::string, ScheduleEntry> entries_;
  BootTime began_;
};

}  // namespace clusterd
