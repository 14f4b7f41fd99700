// A year of schedules in several time zones, over schedulers that die at any instant: what is
// submitted is what somebody who watches the clocks would say.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "clusterd/job_states.h"
#include "core/proto_time.h"
#include "support/calendar_world.h"

namespace clusterd {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;
using std::chrono::nanoseconds;
using v1::Schedule;

// 2026-01-01T00:00:00Z.
const WallTime kBegin{std::chrono::seconds(1'767'225'600)};
const WallTime kEnd = kBegin + 365 * 24h;

// A schedule, and what its cron says in other words.
struct Planned {
  const char* name;
  const char* cron;
  const char* zone;
  Schedule::CatchUp policy;
  nanoseconds within;
  size_t most;
  bool by_elapsed_time;
  bool (*is_due)(absl::CivilMinute civil);
};

bool is_workday(absl::CivilMinute civil) {
  const absl::Weekday day = absl::GetWeekday(absl::CivilDay(civil));
  return day != absl::Weekday::saturday && day != absl::Weekday::sunday;
}

const Planned kPlans[] = {
    {"halves", "*/30 * * * *", "Asia/Kolkata", Schedule::ALL, 31 * 24h, 1'000, true,
     [](absl::CivilMinute civil) { return civil.minute() % 30 == 0; }},
    {"nightly", "30 2 * * *", "Europe/Berlin", Schedule::LAST, 1h, 1, false,
     [](absl::CivilMinute civil) { return civil.hour() == 2 && civil.minute() == 30; }},
    {"workdays", "0 9 * * mon-fri", "America/New_York", Schedule::NONE, 1h, 0, false,
     [](absl::CivilMinute civil) {
       return is_workday(civil) && civil.hour() == 9 && civil.minute() == 0;
     }},
    {"early", "15 1,2 * * *", "Australia/Lord_Howe", Schedule::ALL, 2h, 10, false,
     [](absl::CivilMinute civil) {
       return (civil.hour() == 1 || civil.hour() == 2) && civil.minute() == 15;
     }},
    {"daily", "@daily", "", Schedule::LAST, 31 * 24h, 1, false,
     [](absl::CivilMinute civil) { return civil.hour() == 0 && civil.minute() == 0; }},
    {"hours", "7 * * * *", "Europe/Berlin", Schedule::ALL, 5h, 3, true,
     [](absl::CivilMinute civil) { return civil.minute() == 7; }},
};

// Watches the clock of the plan's place for the year, minute by minute.
std::vector<WallTime> watched(const Planned& plan) {
  absl::TimeZone zone = absl::UTCTimeZone();
  REQUIRE((plan.zone[0] == '\0' || absl::LoadTimeZone(plan.zone, &zone)));
  std::vector<WallTime> times;
  absl::CivilMinute farthest(zone.At(absl::FromChrono(kBegin)).cs);
  for (WallTime time = kBegin + 1min; time <= kEnd; time += 1min) {
    const absl::CivilMinute civil(zone.At(absl::FromChrono(time)).cs);
    bool acts = plan.by_elapsed_time && plan.is_due(civil);
    for (absl::CivilMinute passed = farthest + 1; passed <= civil; ++passed) {
      acts = acts || (!plan.by_elapsed_time && plan.is_due(passed));
    }
    farthest = std::max(farthest, civil);
    if (acts) times.push_back(time);
  }
  return times;
}

// A scheduler's time in office, and until when it has dealt with what came: what it did at that
// very instant counts only where `last_is_kept`.
struct TermOfOffice {
  WallTime begin;
  WallTime end;
  bool last_is_kept;
};

using Jobs = std::vector<std::pair<std::string, WallTime>>;

void expect_jobs_of(const Planned& plan, const std::vector<TermOfOffice>& terms, Jobs& jobs) {
  const std::vector<WallTime> times = watched(plan);
  auto next = times.begin();
  for (const TermOfOffice& term : terms) {
    const bool begin_counts = term.end > term.begin || term.last_is_kept;
    if (!begin_counts) continue;
    std::vector<WallTime> missed;
    for (; next != times.end() && *next < term.begin; ++next) missed.push_back(*next);
    std::erase_if(missed, [&](WallTime time) { return time < term.begin - plan.within; });
    for (size_t i = 0; i < std::min(missed.size(), plan.most); ++i) {
      jobs.emplace_back(plan.name, term.begin);
    }
    for (; next != times.end() && (*next < term.end || (*next == term.end && term.last_is_kept));
         ++next) {
      jobs.emplace_back(plan.name, *next);
    }
  }
}

Schedule schedule_of(const Planned& plan) {
  Schedule schedule;
  schedule.set_name(plan.name);
  schedule.set_cron(plan.cron);
  schedule.set_time_zone(plan.zone);
  schedule.set_overlap(Schedule::QUEUE);
  schedule.set_catch_up(plan.policy);
  schedule.set_catch_up_max(static_cast<uint32_t>(plan.most));
  *schedule.mutable_catch_up_within() = to_proto(plan.within);
  schedule.mutable_spec()->set_path("report.sh");
  return schedule;
}

void end_what_is_left(CalendarWorld& world) {
  std::vector<std::string> left;
  for (const auto& [id, job] : world.store.jobs()) {
    if (!is_final(job.state())) left.push_back(id);
  }
  for (const std::string& id : left) world.end(id);
}

// Lives through the year; returns the terms of office.
std::vector<TermOfOffice> live(CalendarWorld& world, std::mt19937_64& random) {
  std::vector<TermOfOffice> terms;
  while (world.now.wall < kEnd) {
    const WallTime begin = world.now.wall;
    const uint64_t death = random() % 4;
    if (death == 0 && !terms.empty()) world.crash_at_next_commit(true);
    if (death == 1 && !terms.empty()) world.crash_at_next_commit(false);
    world.begin();
    if (terms.empty()) {
      for (const Planned& plan : kPlans) world.create(schedule_of(plan));
    } else if (!world.is_down()) {
      end_what_is_left(world);
    }
    const nanoseconds in_office = (random() % 100'000) * 1s;
    const WallTime until = std::min(kEnd, begin + in_office);
    WallTime died = begin;
    while (!world.is_down() && died < until) {
      died = std::min(until, died + 1min);
      world.advance_to(died);
    }
    if (world.is_down()) {  // at a commit: its own last instant, within the minute
      terms.push_back({begin, world.died_at(), death == 0});
    } else {
      world.crash();
      terms.push_back({begin, until, true});
    }
    world.forget_crash();
    const nanoseconds away =
        random() % 8 == 0 ? (random() % 200'000) * 1s : (random() % 4'000) * 1s;
    world.advance(away);
  }
  return terms;
}

TEST_CASE("a year of schedules goes by the calendar, whoever dies", "[schedules]") {
  const char* given = std::getenv("CLUSTERD_YEAR_SEEDS");
  const int seeds = given == nullptr ? 1 : std::atoi(given);
  for (int seed = 1; seed <= seeds; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(static_cast<uint64_t>(seed));
    CalendarWorld world(kBegin);

    const std::vector<TermOfOffice> terms = live(world, random);

    Jobs expected;
    for (const Planned& plan : kPlans) expect_jobs_of(plan, terms, expected);
    Jobs found;
    std::set<std::string> ids;
    std::map<std::string, uint64_t> runs;
    for (const auto& submission : world.submissions) {
      found.emplace_back(submission.schedule, submission.time);
      ids.insert(submission.job_id);
      ++runs[submission.schedule];
    }
    std::sort(expected.begin(), expected.end());
    std::sort(found.begin(), found.end());
    REQUIRE(terms.size() > 50);
    CHECK(found == expected);
    CHECK(ids.size() == found.size());  // no id twice
    for (const auto& [name, schedule] : world.store.schedules()) {
      CHECK(schedule.runs() == runs[name]);
    }
  }
}

}  // namespace
}  // namespace clusterd
