#include "core/cron.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "core/field_error.h"

namespace clusterd {
namespace {

constexpr size_t kMaxCronBytes = 1024;
constexpr size_t kMaxZoneBytes = 64;
// Longer than from one 29 February on a Sunday to the next, the year 2100 between them.
constexpr int kYearsAhead = 60;

// What a field may hold.
struct Field {
  const char* name;
  int least;
  int most;
  std::span<const absl::string_view> names;  // of `least` and what follows it
};

constexpr absl::string_view kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                         "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr absl::string_view kWeekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr Field kFields[] = {
    {"the minute", 0, 59, {}},
    {"the hour", 0, 23, {}},
    {"the day of the month", 1, 31, {}},
    {"the month", 1, 12, kMonths},
    {"the day of the week", 0, 7, kWeekdays},
};

absl::Status fault(const Field& field, absl::string_view word, absl::string_view what) {
  return invalid_field("cron", absl::StrCat("\"", word, "\" as ", field.name, " ", what));
}

absl::StatusOr<int> value_of(const Field& field, absl::string_view word, absl::string_view text) {
  for (size_t i = 0; i < field.names.size(); ++i) {
    if (absl::AsciiStrToLower(text) == field.names[i]) return field.least + static_cast<int>(i);
  }
  int value = 0;
  const bool is_number = !text.empty() && text.size() <= 4 &&
                         std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
                         absl::SimpleAtoi(text, &value);
  if (!is_number) {
    return fault(
        field, word,
        absl::StrCat("is not understood; \"*\", a number", field.names.empty() ? "" : ", a name",
                     ", a range \"a-b\", a step \"*/n\" or \"a-b/n\", or a list of these is"
                     " expected"));
  }
  if (value >= field.least && value <= field.most) return value;
  return fault(field, word,
               absl::StrCat("is out of range; allowed is ", field.least, " to ", field.most));
}

// One part of a list.
template <size_t kSize>
absl::Status add_part(const Field& field, absl::string_view word, std::bitset<kSize>& set) {
  const size_t slash = word.find('/');
  const absl::string_view range = word.substr(0, slash);
  const size_t dash = range.find('-');
  int first = field.least;
  int last = field.most;
  if (range != "*") {
    const auto begin = value_of(field, word, range.substr(0, dash));
    if (!begin.ok()) return begin.status();
    first = last = *begin;
    if (dash != absl::string_view::npos) {
      const auto end = value_of(field, word, range.substr(dash + 1));
      if (!end.ok()) return end.status();
      last = *end;
      if (field.most == 7 && last == 0 && first > 0) last = 7;  // sat-sun
      if (first > last) return fault(field, word, "ends before it begins");
    }
  } else if (field.most == 7) {
    last = 6;  // Sunday once
  }
  int step = 1;
  if (slash != absl::string_view::npos) {
    const absl::string_view text = word.substr(slash + 1);
    if (range != "*" && dash == absl::string_view::npos) {
      return fault(field, word,
                   absl::StrCat("has a step, but no range; \"", range, "-", field.most, "/", text,
                                "\" begins at ", range));
    }
    const bool is_number = !text.empty() && text.size() <= 4 &&
                           std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
                           absl::SimpleAtoi(text, &step);
    if (!is_number || step < 1 || step > field.most) {
      return fault(field, word, absl::StrCat("needs a step of 1 to ", field.most));
    }
  }
  for (int value = first; value <= last; value += step) {
    set.set(static_cast<size_t>(field.most == 7 ? value % 7 : value));
  }
  return absl::OkStatus();
}

template <size_t kSize>
absl::Status fill(const Field& field, absl::string_view text, std::bitset<kSize>& set) {
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const absl::Status status = add_part(field, part, set);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::string_view meaning_of(absl::string_view text) {
  if (text == "@hourly") return "0 * * * *";
  if (text == "@daily") return "0 0 * * *";
  if (text == "@weekly") return "0 0 * * 0";
  if (text == "@monthly") return "0 0 1 * *";
  if (text == "@yearly") return "0 0 1 1 *";
  return "";
}

absl::Time whole_minute(absl::Time time) {
  const absl::Duration since = time - absl::UnixEpoch();
  return absl::UnixEpoch() + absl::Floor(since, absl::Minutes(1));
}

size_t weekday_of(absl::CivilDay day) {  // Abseil counts from Monday
  return (static_cast<size_t>(absl::GetWeekday(day)) + 1) % 7;
}

// When the clock shows `civil` first, or would have if it had not been set forward.
absl::Time first_instant(absl::CivilMinute civil, const absl::TimeZone& zone) {
  const absl::TimeZone::TimeInfo info = zone.At(absl::CivilSecond(civil));
  return info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre;
}

// The next change of the clocks; InfiniteFuture: there is none.
absl::Time change_after(absl::Time time, const absl::TimeZone& zone) {
  absl::TimeZone::CivilTransition change;
  if (!zone.NextTransition(time, &change)) return absl::InfiniteFuture();
  const absl::TimeZone::TimeInfo info = zone.At(change.to);
  return info.kind == absl::TimeZone::TimeInfo::REPEATED ? info.trans : info.pre;
}

}  // namespace

absl::StatusOr<Cron> Cron::parse(std::string_view given) {
  const absl::string_view text(given.data(), given.size());
  if (text.size() > kMaxCronBytes) {
    return invalid_field("cron", absl::StrCat("has ", text.size(), " bytes, at most ",
                                              kMaxCronBytes, " are allowed"));
  }
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  absl::string_view meant = trimmed;
  if (absl::StartsWith(trimmed, "@")) {
    meant = meaning_of(trimmed);
    if (meant.empty()) {
      return invalid_field("cron", absl::StrCat("\"", trimmed,
                                                "\" is not known; @hourly, @daily, @weekly, "
                                                "@monthly or @yearly is allowed"));
    }
  }
  const std::vector<absl::string_view> words =
      absl::StrSplit(meant, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.size() != std::size(kFields)) {
    return invalid_field("cron", absl::StrCat("\"", trimmed, "\" has ", words.size(),
                                              " fields; five are expected: minute, hour, day of "
                                              "the month, month, day of the week"));
  }
  Cron cron;
  absl::Status status = fill(kFields[0], words[0], cron.minutes_);
  if (status.ok()) status = fill(kFields[1], words[1], cron.hours_);
  if (status.ok()) status = fill(kFields[2], words[2], cron.days_);
  if (status.ok()) status = fill(kFields[3], words[3], cron.months_);
  if (status.ok()) status = fill(kFields[4], words[4], cron.weekdays_);
  if (!status.ok()) return status;
  cron.elapsed_ = absl::StartsWith(words[0], "*") || absl::StartsWith(words[1], "*");
  cron.any_day_ = absl::StartsWith(words[2], "*");
  cron.any_weekday_ = absl::StartsWith(words[4], "*");
  return cron;
}

bool Cron::has_day(absl::CivilDay day) const {
  if (!months_.test(static_cast<size_t>(day.month()))) return false;
  const bool by_month = days_.test(static_cast<size_t>(day.day()));
  const bool by_week = weekdays_.test(weekday_of(day));
  return any_day_ || any_weekday_ ? by_month && by_week : by_month || by_week;
}

std::optional<absl::CivilMinute> Cron::first_from(absl::CivilMinute from,
                                                  absl::CivilMinute end) const {
  while (from < end) {
    if (!months_.test(static_cast<size_t>(from.month()))) {
      from = absl::CivilMinute(absl::CivilMonth(from) + 1);
    } else if (!has_day(absl::CivilDay(from))) {
      from = absl::CivilMinute(absl::CivilDay(from) + 1);
    } else if (!hours_.test(static_cast<size_t>(from.hour()))) {
      from = absl::CivilMinute(absl::CivilHour(from) + 1);
    } else if (!minutes_.test(static_cast<size_t>(from.minute()))) {
      ++from;
    } else {
      return from;
    }
  }
  return std::nullopt;
}

std::optional<absl::Time> Cron::next_of_calendar(absl::Time after,
                                                 const absl::TimeZone& zone) const {
  absl::CivilMinute civil(zone.At(after).cs);
  const absl::CivilMinute end(absl::CivilYear(civil) + kYearsAhead);
  while (const auto due = first_from(civil, end)) {
    // One that comes twice may have been the first time already.
    const absl::Time instant = first_instant(*due, zone);
    if (instant > after) return instant;
    civil = *due + 1;
  }
  return std::nullopt;
}

std::optional<absl::Time> Cron::next_elapsed(absl::Time after, const absl::TimeZone& zone) const {
  absl::Time from = whole_minute(after) + absl::Minutes(1);
  const absl::CivilMinute end(absl::CivilYear(zone.At(after).cs) + kYearsAhead);
  // Between two changes the clock goes on evenly.
  while (true) {
    const absl::TimeZone::CivilInfo at = zone.At(from);
    const absl::CivilMinute civil(at.cs);
    if (civil >= end) return std::nullopt;
    const absl::Time change = change_after(from, zone);
    const auto due = first_from(civil, end);
    const absl::Time instant = due ? from + absl::Minutes(*due - civil) : absl::InfiniteFuture();
    if (instant < change) return instant;
    if (change == absl::InfiniteFuture()) return std::nullopt;
    from = change;
  }
}

std::optional<WallTime> Cron::next(WallTime after, const absl::TimeZone& zone) const {
  const absl::Time from = absl::FromChrono(after);
  const auto due = elapsed_ ? next_elapsed(from, zone) : next_of_calendar(from, zone);
  if (!due) return std::nullopt;
  return WallTime(std::chrono::nanoseconds(absl::ToUnixNanos(*due)));
}

std::vector<WallTime> Cron::latest(WallTime after, WallTime until, const absl::TimeZone& zone,
                                   size_t most) const {
  constexpr std::chrono::nanoseconds kFirstSpan = std::chrono::minutes(2);
  std::vector<WallTime> times;
  // Farther and farther back, until there are enough.
  for (auto span = kFirstSpan; most > 0 && after < until; span *= 4) {
    const bool is_all = until - after <= span;
    const WallTime from = is_all ? after : until - span;
    times.clear();
    for (auto due = next(from, zone); due && *due <= until; due = next(*due, zone)) {
      times.push_back(*due);
    }
    if (is_all || times.size() >= most) break;
  }
  if (times.size() > most) times.erase(times.begin(), times.end() - static_cast<ptrdiff_t>(most));
  return times;
}

namespace {

// Where the loader looks, tzset(3).
std::string zone_folder() {
  const char* folder = std::getenv("TZDIR");
  return std::string(folder != nullptr && *folder != '\0' ? folder : "/usr/share/zoneinfo") + "/";
}

}  // namespace

absl::StatusOr<absl::TimeZone> load_time_zone(const std::string& name) {
  absl::TimeZone zone = absl::UTCTimeZone();
  if (name.empty() || name == "UTC") return zone;
  // The loader takes more than names of zones: files anywhere, and the zone of this machine.
  const bool is_name =
      name.size() <= kMaxZoneBytes &&
      absl::ascii_isalpha(static_cast<unsigned char>(name.front())) && name != "localtime" &&
      name.find("..") == std::string::npos &&
      std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return absl::ascii_isalnum(c) || c == '/' || c == '_' || c == '-' || c == '+';
      });
  // It also remembers every name that it was ever asked for.
  std::error_code error;
  const bool is_there = is_name && std::filesystem::is_regular_file(zone_folder() + name, error);
  if (is_there && absl::LoadTimeZone(name, &zone)) return zone;
  return invalid_field("time_zone",
                       absl::StrCat("\"", absl::string_view(name).substr(0, kMaxZoneBytes),
                                    "\" is not known here; a name of the IANA data base such as "
                                    "Europe/Berlin is expected"));
}

}  // namespace clusterd
