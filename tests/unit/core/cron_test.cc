// Calendars: what is understood, and when they come, against a clock that is watched minute by
// minute.
#include "core/cron.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "core/field_error.h"

namespace clusterd {
namespace {

using std::chrono_literals::operator""s;

Cron parsed(const std::string& text) {
  const auto cron = Cron::parse(text);
  INFO(text << ": " << cron.status());
  REQUIRE(cron.ok());
  return *cron;
}

absl::TimeZone zone_of(const std::string& name) {
  const auto zone = load_time_zone(name);
  INFO(zone.status());
  REQUIRE(zone.ok());
  return *zone;
}

WallTime at(const std::string& rfc3339) {
  absl::Time time;
  std::string error;
  REQUIRE(absl::ParseTime(absl::RFC3339_full, rfc3339, &time, &error));
  return WallTime(std::chrono::nanoseconds(absl::ToUnixNanos(time)));
}

std::string text_of(WallTime time, const absl::TimeZone& zone) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%S%Ez", absl::FromChrono(time), zone);
}

// The next `count` times after `after`, as the zone's clock shows them.
std::vector<std::string> next_times(const std::string& cron, const std::string& zone_name,
                                    const std::string& after, size_t count) {
  const Cron calendar = parsed(cron);
  const absl::TimeZone zone = zone_of(zone_name);
  std::vector<std::string> times;
  WallTime time = at(after);
  while (times.size() < count) {
    const auto next = calendar.next(time, zone);
    if (!next) break;
    time = *next;
    times.push_back(text_of(time, zone));
  }
  return times;
}

using Times = std::vector<std::string>;

TEST_CASE("names, lists, ranges and steps are understood as in crontab", "[cron]") {
  CHECK(next_times("30 2 * * mon-fri", "", "2026-01-02T12:00:00Z", 2) ==
        Times{"2026-01-05T02:30:00+00:00", "2026-01-06T02:30:00+00:00"});
  CHECK(next_times("0 0 1 JAN,jul *", "", "2026-01-02T00:00:00Z", 2) ==
        Times{"2026-07-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"});
  CHECK(
      next_times("10-50/20 8 * * *", "", "2026-01-02T08:10:00Z", 3) ==
      Times{"2026-01-02T08:30:00+00:00", "2026-01-02T08:50:00+00:00", "2026-01-03T08:10:00+00:00"});
  CHECK(
      next_times("*/25 * * * *", "", "2026-01-02T08:49:59Z", 3) ==
      Times{"2026-01-02T08:50:00+00:00", "2026-01-02T09:00:00+00:00", "2026-01-02T09:25:00+00:00"});
  CHECK(next_times("0 12 * * 7", "", "2026-01-01T00:00:00Z", 1) ==
        Times{"2026-01-04T12:00:00+00:00"});
  CHECK(
      next_times("0 12 * * sat-sun", "", "2026-01-01T00:00:00Z", 3) ==
      Times{"2026-01-03T12:00:00+00:00", "2026-01-04T12:00:00+00:00", "2026-01-10T12:00:00+00:00"});
  CHECK(next_times("@monthly", "", "2026-01-01T00:00:00Z", 1) ==
        Times{"2026-02-01T00:00:00+00:00"});
  CHECK(next_times(" \t0  0\t29 2 * ", "", "2097-01-01T00:00:00Z", 1) ==
        Times{"2104-02-29T00:00:00+00:00"});
}

TEST_CASE("of two days that are both restricted either will do", "[cron]") {
  CHECK(next_times("0 0 13 * fri", "", "2026-02-05T00:00:00Z", 4) ==
        Times{"2026-02-06T00:00:00+00:00", "2026-02-13T00:00:00+00:00", "2026-02-20T00:00:00+00:00",
              "2026-02-27T00:00:00+00:00"});
  // One that begins with a star restricts nothing by itself: both must be.
  CHECK(next_times("0 0 */2 * mon", "", "2026-02-05T00:00:00Z", 2) ==
        Times{"2026-02-09T00:00:00+00:00", "2026-02-23T00:00:00+00:00"});
}

TEST_CASE("what is no calendar is refused with its field and what is allowed", "[cron]") {
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"", "\"\" has 0 fields; five are expected"},
      {"* * * *", "has 4 fields"},
      {"0 * * * * *", "has 6 fields"},
      {"60 * * * *", "\"60\" as the minute is out of range; allowed is 0 to 59"},
      {"* 24 * * *", "allowed is 0 to 23"},
      {"* * 0 * *", "\"0\" as the day of the month is out of range; allowed is 1 to 31"},
      {"* * * 13 *", "allowed is 1 to 12"},
      {"* * * * 8", "allowed is 0 to 7"},
      {"* * * * someday", "\"someday\" as the day of the week is not understood"},
      {"5-1 * * * *", "ends before it begins"},
      {"*/0 * * * *", "needs a step of 1 to 59"},
      {"*/ * * * *", "needs a step"},
      {"5/15 * * * *", "\"5-59/15\" begins at 5"},
      {"1,,2 * * * *", "is not understood"},
      {"-1 * * * *", "is not understood"},
      {"1- * * * *", "is not understood"},
      {"+1 * * * *", "is not understood"},
      {"1e1 * * * *", "is not understood"},
      {"@reboot", "\"@reboot\" is not known; @hourly"},
      {std::string(2'000, '*'), "has 2000 bytes"},
  };
  for (const auto& [text, why] : refused) {
    const absl::Status status = Cron::parse(text).status();
    INFO(text << ": " << status);
    CHECK(absl::IsInvalidArgument(status));
    CHECK(field_of(status) == "cron");
    CHECK(std::string(status.message()).find(why) != std::string::npos);
  }
}

TEST_CASE("a day that no month has never comes", "[cron]") {
  for (const char* never : {"0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * 31 feb */2"}) {
    CHECK_FALSE(parsed(never).next(at("2026-01-01T00:00:00Z"), absl::UTCTimeZone()));
  }
  CHECK(parsed("0 0 29 2 */7").next(at("2093-01-01T00:00:00Z"), absl::UTCTimeZone()));
}

TEST_CASE("a time zone that is none is refused with its field", "[cron]") {
  for (const char* name : {"Europe/Nowhere", "localtime", "/etc/passwd", "../etc/passwd", "Europe",
                           ":UTC", "file:UTC", "Europe/../Europe/Berlin"}) {
    const absl::Status status = load_time_zone(name).status();
    INFO(name << ": " << status);
    CHECK(absl::IsInvalidArgument(status));
    CHECK(field_of(status) == "time_zone");
  }
  CHECK(load_time_zone(std::string("Europe/Berlin\0", 14)).status().code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(*load_time_zone("") == absl::UTCTimeZone());
}

TEST_CASE("a time that a change of the clocks leaves out comes right after it, once", "[cron]") {
  // In Berlin 02:00 becomes 03:00 on 2026-03-29.
  CHECK(next_times("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2) ==
        Times{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"});
  CHECK(
      next_times("0,30 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 3) ==
      Times{"2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:00:00+02:00"});
  // On Lord Howe Island half an hour is left out.
  CHECK(next_times("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2) ==
        Times{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"});
}

TEST_CASE("a time that comes twice counts once", "[cron]") {
  // In Berlin 03:00 becomes 02:00 on 2026-10-25.
  CHECK(next_times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2) ==
        Times{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"});
  // Asked within the second time round.
  CHECK(next_times("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1) ==
        Times{"2026-10-26T02:30:00+01:00"});
}

TEST_CASE("calendars of every hour or minute go by elapsed time", "[cron]") {
  CHECK(next_times("@hourly", "Europe/Berlin", "2026-10-24T23:30:00Z", 4) ==
        Times{"2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00",
              "2026-10-25T04:00:00+01:00"});
  CHECK(next_times("@hourly", "Europe/Berlin", "2026-03-29T00:30:00Z", 2) ==
        Times{"2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"});
  CHECK(next_times("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 1) ==
        Times{"2026-03-30T02:00:00+02:00"});
}

TEST_CASE("the latest times are those that next() comes to", "[cron]") {
  const absl::TimeZone zone = zone_of("America/New_York");
  std::mt19937_64 random(20260105);
  for (const char* text : {"* * * * *", "*/7 3-9 * * *", "30 2 * * *", "0 0 1 * *", "@yearly"}) {
    const Cron cron = parsed(text);
    for (int round = 0; round < 10; ++round) {
      const WallTime until = at("2026-11-02T00:00:00Z") + (random() % 100'000) * 1s;
      const WallTime after = until - (random() % 20'000'000) * 1s;
      const size_t most = 1 + random() % 20;
      std::vector<WallTime> all;
      for (auto next = cron.next(after, zone); next && *next <= until;
           next = cron.next(*next, zone)) {
        all.push_back(*next);
        if (all.size() > most) all.erase(all.begin());
      }
      INFO(text << " most " << most);
      CHECK(cron.latest(after, until, zone, most) == all);
    }
  }
}

// Fields as sets, and as text; 0 is Sunday.
struct Fields {
  std::set<int> minutes, hours, days, months, weekdays;
  bool any_minute = false, any_hour = false, any_day = false, any_weekday = false;
  std::string text;
};

std::set<int> some_of(int least, int most, size_t count, std::mt19937_64& random) {
  std::set<int> values;
  while (values.size() < count) {
    values.insert(least + static_cast<int>(random() % static_cast<uint64_t>(most - least + 1)));
  }
  return values;
}

// A field that is "*", a step, or some values; what it holds in `values`.
std::string random_field(int least, int most, bool& any, std::set<int>& values,
                         std::mt19937_64& random) {
  values.clear();
  const uint64_t kind = random() % 4;
  any = kind < 2;
  if (kind >= 2) {
    values = some_of(least, most, 1 + random() % 3, random);
    return absl::StrJoin(values, ",");
  }
  const int step = kind == 0 ? 1 : 2 + static_cast<int>(random() % 5);
  for (int value = least; value <= most; value += step) values.insert(value);
  return kind == 0 ? "*" : "*/" + std::to_string(step);
}

Fields random_fields(std::mt19937_64& random) {
  Fields fields;
  bool any_month = false;
  const std::string minute = random_field(0, 59, fields.any_minute, fields.minutes, random);
  // Around the changes of the clocks more often than not.
  std::string hour = random_field(0, 23, fields.any_hour, fields.hours, random);
  if (!fields.any_hour && random() % 2 == 0) {
    fields.hours = some_of(0, 3, 2, random);
    hour = absl::StrJoin(fields.hours, ",");
  }
  const std::string day = random_field(1, 31, fields.any_day, fields.days, random);
  const std::string month = random_field(1, 12, any_month, fields.months, random);
  const std::string weekday = random_field(0, 6, fields.any_weekday, fields.weekdays, random);
  fields.text = minute + " " + hour + " " + day + " " + month + " " + weekday;
  return fields;
}

// A minute of a clock's face.
struct Face {
  int64_t civil;  // minutes since the epoch, as if it were UTC
  int minute, hour, day, month, weekday;
};

Face face_of(absl::CivilMinute civil) {
  return {civil - absl::CivilMinute(1970, 1, 1),
          civil.minute(),
          civil.hour(),
          civil.day(),
          civil.month(),
          (static_cast<int>(absl::GetWeekday(absl::CivilDay(civil))) + 1) % 7};
}

bool matches(const Fields& fields, const Face& face) {
  if (!fields.minutes.contains(face.minute) || !fields.hours.contains(face.hour) ||
      !fields.months.contains(face.month)) {
    return false;
  }
  const bool by_month = fields.days.contains(face.day);
  const bool by_week = fields.weekdays.contains(face.weekday);
  return fields.any_day || fields.any_weekday ? by_month && by_week : by_month || by_week;
}

// What the clock of a place shows, minute by minute.
std::vector<Face> watched(const absl::TimeZone& zone, absl::Time begin, size_t minutes) {
  std::vector<Face> faces;
  faces.reserve(minutes);
  for (size_t i = 0; i < minutes; ++i) {
    faces.push_back(
        face_of(absl::CivilMinute(zone.At(begin + absl::Minutes(static_cast<int64_t>(i))).cs)));
  }
  return faces;
}

// The minutes at which somebody who watches the clock would have acted.
std::vector<size_t> acted(const Fields& fields, const std::vector<Face>& faces) {
  std::vector<size_t> minutes;
  int64_t farthest = faces.front().civil;  // that the clock has shown
  for (size_t i = 1; i < faces.size(); ++i) {
    bool acts = false;
    if (fields.any_minute || fields.any_hour) {
      acts = matches(fields, faces[i]);
    } else {
      for (int64_t civil = farthest + 1; civil <= faces[i].civil && !acts; ++civil) {
        const bool is_shown = civil == faces[i].civil;
        acts =
            matches(fields, is_shown ? faces[i] : face_of(absl::CivilMinute(1970, 1, 1) + civil));
      }
    }
    farthest = std::max(farthest, faces[i].civil);
    if (acts) minutes.push_back(i);
  }
  return minutes;
}

TEST_CASE("calendars come exactly when a clock that is watched says so", "[cron]") {
  constexpr int kCalendars = 24;
  std::mt19937_64 random(20260329);
  for (const char* name : {"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
                           "Asia/Kolkata", "Africa/Casablanca"}) {
    const absl::TimeZone zone = zone_of(name);
    const int year = 2024 + static_cast<int>(random() % 4);
    const absl::Time begin = absl::FromCivil(absl::CivilSecond(year, 1, 1), absl::UTCTimeZone());
    constexpr size_t kMinutes = size_t{2} * 366 * 24 * 60;
    const std::vector<Face> faces = watched(zone, begin, kMinutes);
    for (int i = 0; i < kCalendars; ++i) {
      const Fields fields = random_fields(random);
      const std::vector<size_t> expected = acted(fields, faces);
      const Cron cron = parsed(fields.text);

      std::vector<size_t> found;
      WallTime time(std::chrono::nanoseconds(absl::ToUnixNanos(begin)));
      const WallTime end = time + std::chrono::minutes(kMinutes);
      const WallTime first = time;
      for (auto next = cron.next(time, zone); next && *next < end; next = cron.next(*next, zone)) {
        found.push_back(static_cast<size_t>((*next - first) / std::chrono::minutes(1)));
      }

      INFO(name << " from " << year << ": " << fields.text);
      REQUIRE(found == expected);
    }
  }
}

}  // namespace
}  // namespace clusterd
