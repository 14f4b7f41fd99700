#pragma once

#include <bitset>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "core/clock.h"

namespace clusterd {

// When something is due, by the calendar and the clock of some place: the five fields of
// crontab(5), or "@daily" and its like. A value; any thread.
//
// A day is due where its month is and its day of the month and of the week are; where neither of
// these two begins with "*", either will do. Where neither the minute nor the hour begins with
// "*", a change of the clocks loses nothing: a time that it leaves out is due right after it, one
// that comes twice is due the first time. What begins with "*" goes by elapsed time: whenever the
// clock shows such a minute.
class Cron {
 public:
  // INVALID_ARGUMENT about the field `cron`, naming the value and what is allowed.
  [[nodiscard]] static absl::StatusOr<Cron> parse(std::string_view text);

  // The first time after `after`; nullopt: there is none within sixty years, so there is none.
  [[nodiscard]] std::optional<WallTime> next(WallTime after, const absl::TimeZone& zone) const;
  // The latest times in (`after`, `until`], oldest first, at most `most`. Takes time in proportion
  // to `most`, not to what lies between.
  [[nodiscard]] std::vector<WallTime> latest(WallTime after, WallTime until,
                                             const absl::TimeZone& zone, size_t most) const;

 private:
  [[nodiscard]] bool has_day(absl::CivilDay day) const;
  // The first civil minute from `from` on that is due, before `end`.
  [[nodiscard]] std::optional<absl::CivilMinute> first_from(absl::CivilMinute from,
                                                            absl::CivilMinute end) const;
  [[nodiscard]] std::optional<absl::Time> next_of_calendar(absl::Time after,
                                                           const absl::TimeZone& zone) const;
  [[nodiscard]] std::optional<absl::Time> next_elapsed(absl::Time after,
                                                       const absl::TimeZone& zone) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;     // of the month, from 1
  std::bitset<13> months_;   // from 1
  std::bitset<7> weekdays_;  // 0: Sunday
  bool any_day_ = false;     // the day of the month begins with "*"
  bool any_weekday_ = false;
  bool elapsed_ = false;  // the minute or the hour does
};

// The time zone of that name in the IANA data base; empty: UTC. INVALID_ARGUMENT about the field
// `time_zone`. Reads a file at the first use of a name.
[[nodiscard]] absl::StatusOr<absl::TimeZone> load_time_zone(const std::string& name);

}  // namespace clusterd
