#include "scheduler/schedule_table.h"

#include <algorithm>
#include <utility>

#include "core/proto_time.h"

namespace clusterd {

WallTime ScheduleEntry::dealt_with() const {
  return std::max(from_proto(record.last_time()), from_proto(record.update_time()));
}

std::vector<WallTime> ScheduleEntry::upcoming(WallTime now, size_t count) const {
  std::vector<WallTime> times;
  if (!cron) return times;
  // A clock that was set back comes to no time twice.
  auto at = cron->next(std::max(now, from_proto(record.last_time())), zone);
  for (; at && times.size() < count; at = cron->next(*at, zone)) times.push_back(*at);
  return times;
}

ScheduleTable::ScheduleTable(std::vector<v1::Schedule> records, BootTime began) : began_(began) {
  for (v1::Schedule& record : records) put(std::move(record));
}

ScheduleEntry* ScheduleTable::find(const std::string& name) {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

ScheduleEntry& ScheduleTable::put(v1::Schedule record) {
  ScheduleEntry entry;
  auto cron = Cron::parse(record.cron());
  const auto zone = load_time_zone(record.time_zone());
  if (cron.ok() && zone.ok()) {
    entry.cron = *std::move(cron);
    entry.zone = *zone;
  } else {
    entry.fault = std::string((cron.ok() ? zone.status() : cron.status()).message());
  }
  entry.record = std::move(record);
  refresh(entry);
  ScheduleEntry& kept = entries_[entry.record.name()];
  kept = std::move(entry);
  return kept;
}

void ScheduleTable::erase(const std::string& name) { entries_.erase(name); }

void ScheduleTable::refresh(ScheduleEntry& entry) {
  entry.next.reset();
  if (entry.cron && !entry.record.paused()) {
    entry.next = entry.cron->next(entry.dealt_with(), entry.zone);
  }
}

v1::Schedule ScheduleTable::without_script(ScheduleEntry& entry) {
  if (!entry.record.spec().has_script()) return entry.record;
  std::string& content = *entry.record.mutable_spec()->mutable_script()->mutable_content();
  std::string aside = std::move(content);
  content.clear();
  v1::Schedule copy = entry.record;
  content = std::move(aside);
  return copy;
}

uint64_t ScheduleTable::script_bytes_without(const std::string& name) const {
  uint64_t bytes = 0;
  for (const auto& [other, entry] : entries_) {
    if (other != name) bytes += entry.record.spec().script().content().size();
  }
  return bytes;
}

std::optional<WallTime> ScheduleTable::earliest() const {
  std::optional<WallTime> earliest;
  for (const auto& [name, entry] : entries_) {
    if (entry.next && (!earliest || *entry.next < *earliest)) earliest = entry.next;
  }
  return earliest;
}

std::vector<std::string> ScheduleTable::due(WallTime now) const {
  std::vector<std::pair<WallTime, std::string>> due;
  for (const auto& [name, entry] : entries_) {
    if (entry.next && *entry.next <= now) due.emplace_back(*entry.next, name);
  }
  std::sort(due.begin(), due.end());
  std::vector<std::string> names;
  for (auto& [time, name] : due) names.push_back(std::move(name));
  return names;
}

}  // namespace clusterd
