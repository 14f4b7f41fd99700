// Schedules in the decider: when they submit, and what becomes of times that are missed.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "clusterd/job_states.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "support/calendar_world.h"

namespace clusterd {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;
using v1::Schedule;

// 2026-01-05T00:00:00Z, a Monday.
const WallTime kBegin{std::chrono::seconds(1'767'571'200)};

Schedule every_ten_minutes(Schedule::Overlap overlap = Schedule::SKIP) {
  Schedule schedule;
  schedule.set_name("ten");
  schedule.set_cron("*/10 * * * *");
  schedule.set_overlap(overlap);
  schedule.mutable_spec()->set_path("report.sh");
  return schedule;
}

Schedule catching_up(Schedule::CatchUp policy, std::chrono::nanoseconds within, uint32_t most = 0) {
  Schedule schedule = every_ten_minutes();
  schedule.set_catch_up(policy);
  *schedule.mutable_catch_up_within() = to_proto(within);
  schedule.set_catch_up_max(most);
  return schedule;
}

// Minutes after kBegin at which jobs were submitted.
std::vector<int64_t> minutes_of(const CalendarWorld& world) {
  std::vector<int64_t> minutes;
  for (const auto& submission : world.submissions) {
    minutes.push_back((submission.time - kBegin) / 1min);
  }
  return minutes;
}

using Minutes = std::vector<int64_t>;

// With a schedule, and its scheduler away from minute 15 to minute 15 + `away`.
CalendarWorld& after_absence(CalendarWorld& world, const Schedule& schedule,
                             std::chrono::nanoseconds away) {
  world.begin();
  world.create(schedule);
  world.advance(15min);
  world.crash();
  world.advance(away);
  world.begin();
  return world;
}

TEST_CASE("a schedule submits its job at its times, in its maker's name", "[schedules]") {
  CalendarWorld world(kBegin);
  world.begin();
  world.create(every_ten_minutes());

  world.advance(31min);

  CHECK(minutes_of(world) == Minutes{10, 20, 30});
  const v1::Job job = world.job(world.submissions[0].job_id);
  CHECK(job.schedule() == "ten");
  CHECK(job.submitted_by() == "me");
  CHECK(job.spec().path() == "report.sh");
  CHECK(job.job_id().size() == 36);
  const Schedule shown = world.get("ten");
  CHECK(shown.runs() == 3);
  CHECK(shown.skipped() == 0);
  CHECK(shown.message().empty());
  CHECK(shown.last_job_id() == world.submissions[2].job_id);
  CHECK(from_proto(shown.last_time()) == kBegin + 30min);
  REQUIRE(shown.next_times_size() == 5);
  CHECK(from_proto(shown.next_times(0)) == kBegin + 40min);
  CHECK(from_proto(shown.next_times(4)) == kBegin + 80min);
}

TEST_CASE("the time of a schedule and its job are one commit", "[schedules]") {
  for (const bool is_kept : {true, false}) {
    CalendarWorld world(kBegin);
    world.begin();
    world.create(every_ten_minutes());
    world.crash_at_next_commit(is_kept);
    world.advance(10min);
    REQUIRE(world.is_down());
    const size_t kept = world.submissions.size();

    world.begin();

    CHECK(kept == (is_kept ? 1 : 0));
    CHECK(world.submissions.size() == 1);
    CHECK(world.get("ten").runs() == 1);
    CHECK(world.store.jobs().size() == 1);
  }
}

TEST_CASE("with SKIP a time passes while the job before it has not ended", "[schedules]") {
  CalendarWorld world(kBegin);
  world.jobs_end_at_once = false;
  world.begin();
  world.create(every_ten_minutes());
  world.advance(25min);

  CHECK(minutes_of(world) == Minutes{10});
  const Schedule shown = world.get("ten");
  CHECK(shown.skipped() == 1);
  CHECK(shown.message() == "job " + world.submissions[0].job_id + " had not ended");

  world.end(world.submissions[0].job_id);
  world.advance(10min);
  CHECK(minutes_of(world) == Minutes{10, 30});
  CHECK(world.get("ten").message().empty());
}

TEST_CASE("with QUEUE a job waits for all that came before it", "[schedules]") {
  CalendarWorld world(kBegin);
  world.jobs_end_at_once = false;
  world.begin();
  world.create(every_ten_minutes(Schedule::QUEUE));
  world.advance(35min);

  REQUIRE(minutes_of(world) == Minutes{10, 20, 30});
  const v1::Job third = world.job(world.submissions[2].job_id);
  REQUIRE(third.spec().after_size() == 2);
  CHECK(third.spec().after(0).job_id() == world.submissions[0].job_id);
  CHECK(third.spec().after(0).on() == v1::Dependency::ANY);
  CHECK(third.spec().after(1).job_id() == world.submissions[1].job_id);

  // One of them ends, however: the others still wait, each for the ones that are left.
  world.end(world.submissions[1].job_id);
  CHECK(world.job(third.job_id()).state() == v1::Job::QUEUED);
  CHECK(world.job(third.job_id()).end().reason() == v1::JobEnd::REASON_UNSPECIFIED);
  CHECK(world.get("ten").runs() == 3);
}

TEST_CASE("with REPLACE the job before is stopped", "[schedules]") {
  CalendarWorld world(kBegin);
  world.jobs_end_at_once = false;
  world.begin();
  world.create(every_ten_minutes(Schedule::REPLACE));
  world.advance(25min);

  REQUIRE(minutes_of(world) == Minutes{10, 20});
  const v1::Job first = world.job(world.submissions[0].job_id);
  const v1::Job second = world.job(world.submissions[1].job_id);
  CHECK(first.state() == v1::Job::STOPPED);
  CHECK(first.stop_requested().reason() == "its schedule's next job replaces it");
  CHECK(first.stop_requested().who() == "me");
  CHECK(second.state() == v1::Job::QUEUED);
  CHECK(second.spec().after(0).job_id() == first.job_id());
}

TEST_CASE("a job that is refused does not stop the one that it would replace", "[schedules]") {
  CalendarWorld world(kBegin);
  world.config.scheduling.max_queued = 1;
  world.jobs_end_at_once = false;
  world.begin();
  world.create(every_ten_minutes(Schedule::REPLACE));
  world.advance(25min);

  REQUIRE(minutes_of(world) == Minutes{10});
  CHECK(world.job(world.submissions[0].job_id).state() == v1::Job::QUEUED);
  const Schedule shown = world.get("ten");
  CHECK(shown.skipped() == 1);
  CHECK(shown.message().find("max_queued = 1") != std::string::npos);
  CHECK(from_proto(shown.last_time()) == kBegin + 20min);
}

TEST_CASE("an array is one job of its schedule", "[schedules]") {
  CalendarWorld world(kBegin);
  world.jobs_end_at_once = false;
  world.begin();
  Schedule schedule = every_ten_minutes();
  schedule.mutable_spec()->mutable_array()->set_to(3);
  world.create(schedule);
  world.advance(25min);

  CHECK(minutes_of(world) == Minutes{10});
  CHECK(world.get("ten").skipped() == 1);
  world.end(world.submissions[0].job_id);
  world.advance(10min);
  CHECK(minutes_of(world).back() == 30);
}

TEST_CASE("with LAST the latest of the missed times is made up for", "[schedules]") {
  CalendarWorld world(kBegin);
  after_absence(world, catching_up(Schedule::LAST, 2h), 60min);

  CHECK(minutes_of(world) == Minutes{10, 75});
  const Schedule shown = world.get("ten");
  CHECK(shown.skipped() == 5);  // of 20, 30, … 70
  CHECK(from_proto(shown.last_time()) == kBegin + 70min);
  world.advance(10min);
  CHECK(minutes_of(world) == Minutes{10, 75, 80});
}

TEST_CASE("with NONE missed times are left out", "[schedules]") {
  CalendarWorld world(kBegin);
  after_absence(world, catching_up(Schedule::NONE, 2h), 60min);

  CHECK(minutes_of(world) == Minutes{10});
  CHECK(world.get("ten").skipped() == 6);
  CHECK(world.get("ten").message() == "it passed while no scheduler was there");
  world.advance(10min);
  CHECK(minutes_of(world) == Minutes{10, 80});
  CHECK(world.get("ten").message().empty());
}

TEST_CASE("with ALL there is a job for each missed time, one after the other", "[schedules]") {
  CalendarWorld world(kBegin);
  world.jobs_end_at_once = true;
  world.begin();
  world.create(catching_up(Schedule::ALL, 2h, 4));
  world.advance(15min);
  world.crash();
  world.advance(60min);
  world.jobs_end_at_once = false;
  world.begin();

  REQUIRE(minutes_of(world) == Minutes{10, 75, 75, 75, 75});
  CHECK(world.get("ten").skipped() == 2);
  CHECK(world.get("ten").runs() == 5);
  CHECK(world.job(world.submissions[1].job_id).spec().after().empty());
  for (size_t i = 2; i < 5; ++i) {
    const v1::Job job = world.job(world.submissions[i].job_id);
    CHECK(job.spec().after(job.spec().after_size() - 1).job_id() ==
          world.submissions[i - 1].job_id);
  }
}

TEST_CASE("times that were missed longer ago than catch_up_within are left out", "[schedules]") {
  CalendarWorld world(kBegin);
  after_absence(world, catching_up(Schedule::ALL, 30min, 100), 60min);
  CHECK(minutes_of(world) == Minutes{10, 75, 75, 75});  // 50, 60 and 70

  CalendarWorld strict(kBegin);
  after_absence(strict, catching_up(Schedule::LAST, 0s), 60min);
  CHECK(minutes_of(strict) == Minutes{10});

  CalendarWorld usual(kBegin);
  Schedule schedule = every_ten_minutes();
  schedule.set_cron("20 0 * * *");
  after_absence(usual, schedule, 70min);  // 65 minutes ago, an hour is the default
  CHECK(minutes_of(usual).empty());
  CHECK(usual.get("ten").skipped() == 1);
}

TEST_CASE("a job from before the absence that has not ended counts for the overlap",
          "[schedules]") {
  CalendarWorld world(kBegin);
  world.jobs_end_at_once = false;
  after_absence(world, catching_up(Schedule::ALL, 2h), 60min);

  CHECK(minutes_of(world) == Minutes{10});
  CHECK(world.get("ten").skipped() == 6);
}

TEST_CASE("what passes while a schedule is paused is not made up for", "[schedules]") {
  CalendarWorld world(kBegin);
  world.begin();
  world.create(catching_up(Schedule::ALL, 2h, 100));
  world.advance(15min);
  v1::PauseScheduleRequest pause;
  pause.set_name("ten");
  const auto paused = world.call([&pause](Scheduler& scheduler, CallId id, Now now) {
    return scheduler.pause_schedule(id, pause, {}, now);
  });
  REQUIRE(paused.ok());
  CHECK(std::get<Schedule>(*paused).paused());
  CHECK(std::get<Schedule>(*paused).next_times_size() == 5);  // as if it were not
  world.advance(30min);
  world.crash();
  world.begin();
  world.advance(7min);
  CHECK(minutes_of(world) == Minutes{10});

  v1::ResumeScheduleRequest resume;
  resume.set_name("ten");
  REQUIRE(world
              .call([&resume](Scheduler& scheduler, CallId id, Now now) {
                return scheduler.resume_schedule(id, resume, {}, now);
              })
              .ok());
  world.advance(10min);

  CHECK(minutes_of(world) == Minutes{10, 60});
  CHECK(world.get("ten").skipped() == 0);
}

TEST_CASE("a schedule that is changed goes on from then, by its new calendar", "[schedules]") {
  CalendarWorld world(kBegin);
  world.begin();
  world.create(every_ten_minutes());
  world.advance(15min);
  ScheduleOrder order{.schedule = every_ten_minutes(), .who = "another"};
  order.schedule.set_cron("5 * * * *");
  order.schedule.set_runs(99);
  order.schedule.mutable_spec()->set_path("other.sh");
  const auto changed = world.call([&order](Scheduler& scheduler, CallId id, Now now) {
    return scheduler.update_schedule(id, order, now);
  });
  REQUIRE(changed.ok());
  CHECK(std::get<Schedule>(*changed).runs() == 1);
  CHECK(std::get<Schedule>(*changed).created_by() == "another");

  world.advance(60min);

  CHECK(minutes_of(world) == Minutes{10, 65});
  CHECK(world.job(world.submissions[1].job_id).spec().path() == "other.sh");
}

TEST_CASE("a value that a change leaves out stays, for who gave it", "[schedules]") {
  CalendarWorld world(kBegin);
  world.begin();
  Schedule schedule = every_ten_minutes();
  (*schedule.mutable_spec()->mutable_env())["SECRET"] = "s3cret";
  world.create(schedule);
  const auto change = [&world](const std::string& who, const std::string& value) {
    ScheduleOrder order{.schedule = every_ten_minutes(), .who = who};
    (*order.schedule.mutable_spec()->mutable_env())["SECRET"] = value;
    return world.call([&order](Scheduler& scheduler, CallId id, Now now) {
      return scheduler.update_schedule(id, order, now);
    });
  };
  const auto kept = [&world] {
    return world.store.schedules().at("ten").spec().env().at("SECRET");
  };

  CHECK(change("me", "").ok());
  CHECK(kept() == "s3cret");
  const absl::Status refused = change("another", "").status();
  CHECK(field_of(refused) == "spec.env");
  CHECK(kept() == "s3cret");
  CHECK(change("another", "mine").ok());
  CHECK(kept() == "mine");
  CHECK(absl::IsInvalidArgument(change("me", "").status()));
}

TEST_CASE("a resumed schedule does not wait for times of a clock that was wrong", "[schedules]") {
  CalendarWorld world(kBegin);
  world.begin();
  world.create(every_ten_minutes());
  world.set_clock(kBegin + 240h);
  world.advance(10min);
  world.set_clock(kBegin + 5min);
  const size_t before = world.submissions.size();
  world.advance(20min);
  CHECK(world.submissions.size() == before);
  v1::PauseScheduleRequest pause;
  pause.set_name("ten");
  v1::ResumeScheduleRequest resume;
  resume.set_name("ten");

  CHECK(world
            .call([&](Scheduler& scheduler, CallId id, Now now) {
              return scheduler.pause_schedule(id, pause, {}, now);
            })
            .ok());
  CHECK(world
            .call([&](Scheduler& scheduler, CallId id, Now now) {
              return scheduler.resume_schedule(id, resume, {}, now);
            })
            .ok());
  world.advance(20min);

  CHECK(world.submissions.size() == before + 2);
}

TEST_CASE("times that many schedules missed are made up for a thousand jobs at a time",
          "[schedules]") {
  CalendarWorld world(kBegin);
  world.begin();
  for (int i = 0; i < 4; ++i) {
    Schedule schedule = catching_up(Schedule::ALL, 24h, 1000);
    schedule.set_cron("* * * * *");
    schedule.set_name("s" + std::to_string(i));
    world.create(schedule);
  }
  world.crash();
  world.advance(10h);
  world.jobs_end_at_once = false;
  world.begin();
  const size_t at_once = world.submissions.size();
  world.advance(1s);

  CHECK(at_once >= 1000);
  CHECK(at_once < 1600);
  CHECK(world.submissions.size() == 4 * 600);
}

TEST_CASE("a trigger submits whatever the calendar and the overlap say", "[schedules]") {
  CalendarWorld world(kBegin);
  world.jobs_end_at_once = false;
  world.begin();
  Schedule schedule = every_ten_minutes();
  schedule.set_paused(true);
  world.create(schedule);
  v1::TriggerScheduleRequest request;
  request.set_name("ten");
  const RequestKey key{"key", "digest"};
  const auto trigger = [&](const std::string& fresh, const RequestKey& with) {
    return world.call([&](Scheduler& scheduler, CallId id, Now now) {
      return scheduler.trigger_schedule(id, request, fresh, with, now);
    });
  };

  const auto first = trigger("job-1", key);
  const auto again = trigger("job-2", key);
  const auto second = trigger("job-3", {});

  REQUIRE(first.ok());
  CHECK(std::get<v1::Job>(*first).schedule() == "ten");
  REQUIRE(again.ok());
  CHECK(std::get<v1::Job>(*again).job_id() == "job-1");
  REQUIRE(second.ok());
  CHECK(world.submissions.size() == 2);
  CHECK(world.get("ten").runs() == 2);
  CHECK(world.get("ten").last_job_id() == "job-3");
  CHECK_FALSE(world.get("ten").has_last_time());
  request.set_name("none");
  CHECK(absl::IsNotFound(trigger("job-4", {}).status()));
}

TEST_CASE("a schedule that is deleted submits no more; its jobs stay", "[schedules]") {
  CalendarWorld world(kBegin);
  world.begin();
  world.create(every_ten_minutes());
  world.advance(15min);
  v1::DeleteScheduleRequest request;
  request.set_name("ten");
  const RequestKey key{"key", "digest"};
  const auto erase = [&](const RequestKey& with) {
    return world.call([&](Scheduler& scheduler, CallId id, Now now) {
      return scheduler.delete_schedule(id, request, with, now);
    });
  };
  REQUIRE(erase(key).ok());
  CHECK(erase(key).ok());  // the first answer again
  CHECK(absl::IsNotFound(erase({}).status()));
  world.advance(30min);

  CHECK(minutes_of(world) == Minutes{10});
  CHECK(world.store.schedules().empty());
  CHECK(world.store.jobs().size() == 1);
}

TEST_CASE("a request that is repeated sets up one schedule; a name is there once", "[schedules]") {
  CalendarWorld world(kBegin);
  world.config.scheduling.max_schedules = 1;
  world.begin();
  world.create(every_ten_minutes(), "key");
  world.create(every_ten_minutes(), "key");
  const auto create = [&](ScheduleOrder order) {
    return world
        .call([&](Scheduler& scheduler, CallId id, Now now) {
          return scheduler.create_schedule(id, order, now);
        })
        .status();
  };

  const absl::Status same = create({.schedule = every_ten_minutes()});
  CHECK(absl::IsAlreadyExists(same));
  CHECK(field_of(same) == "name");
  Schedule other = every_ten_minutes();
  other.set_name("other");
  const absl::Status full = create({.schedule = other});
  CHECK(absl::IsResourceExhausted(full));
  CHECK(std::string(full.message()).find("max_schedules = 1") != std::string::npos);
  other.mutable_spec()->mutable_script()->set_content(std::string(2 << 20, 'x'));
  world.config.scheduling.max_schedules = 2;
  world.crash();
  world.begin();
  CHECK(field_of(create({.schedule = other})) == "spec.script.content");
}

TEST_CASE("values of variables and scripts of a schedule are not shown", "[schedules]") {
  CalendarWorld world(kBegin);
  world.begin();
  Schedule schedule = every_ten_minutes();
  (*schedule.mutable_spec()->mutable_env())["SECRET"] = "s3cret";
  schedule.mutable_spec()->mutable_script()->set_content("echo s3cret");
  world.create(schedule);

  CHECK(world.get("ten").DebugString().find("s3cret") == std::string::npos);
  const auto all = world.call(
      [](Scheduler& scheduler, CallId id, Now now) { return scheduler.list_schedules(id, now); });
  const auto& list = std::get<v1::ListSchedulesResponse>(*all);
  REQUIRE(list.schedules_size() == 1);
  CHECK(list.DebugString().find("s3cret") == std::string::npos);
  CHECK(list.schedules(0).next_times_size() == 1);
  world.advance(10min);
  CHECK(world.job(world.submissions[0].job_id).spec().env().at("SECRET") == "s3cret");
}

TEST_CASE("a clock that is set back repeats no time", "[schedules]") {
  CalendarWorld world(kBegin);
  world.begin();
  world.create(every_ten_minutes());
  world.advance(31min);
  world.set_clock(kBegin + 5min);

  world.advance(30min);  // to 35 again

  CHECK(minutes_of(world) == Minutes{10, 20, 30});
  world.advance(6min);
  CHECK(minutes_of(world) == Minutes{10, 20, 30, 40});
}

TEST_CASE("a clock that is set forward misses what lies between, by the policy", "[schedules]") {
  CalendarWorld world(kBegin);
  world.begin();
  world.create(catching_up(Schedule::LAST, 2h));
  world.advance(11min);
  world.set_clock(kBegin + 65min);

  world.advance(1min);  // it is noticed within a minute

  CHECK(minutes_of(world) == Minutes{10, 66});
  CHECK(world.get("ten").skipped() == 4);
  world.advance(10min);
  CHECK(minutes_of(world) == Minutes{10, 66, 70});
}

TEST_CASE("a schedule that is not understood any more says so and submits nothing", "[schedules]") {
  CalendarWorld world(kBegin);
  StoreBatch batch;
  batch.put_schedules.push_back(every_ten_minutes());
  batch.put_schedules[0].set_time_zone("Atlantis/Capital");
  REQUIRE(world.store.commit({&batch, 1}).ok());
  world.begin();
  world.advance(30min);

  CHECK(world.submissions.empty());
  CHECK(world.get("ten").message().find("Atlantis/Capital") != std::string::npos);
}

}  // namespace
}  // namespace clusterd
