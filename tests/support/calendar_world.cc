#include "support/calendar_world.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <utility>

#include "core/proto_time.h"
#include "scheduler/look_up.h"

namespace clusterd {

void CalendarWorld::begin() {
  auto contents = store.begin_term();
  REQUIRE(contents.ok());
  scheduler_ = std::make_unique<Scheduler>(config, *std::move(contents), now);
  apply(scheduler_->begin(now));
}

void CalendarWorld::crash_at_next_commit(bool is_kept) {
  dies_ = true;
  dying_commit_is_kept_ = is_kept;
}

void CalendarWorld::advance_to(WallTime time) {
  const BootTime target = now.boot + (time - now.wall);
  while (now.boot < target) {
    const auto next = is_down() ? std::nullopt : scheduler_->next_deadline();
    const BootTime step = next && *next < target ? std::max(*next, now.boot) : target;
    now.wall += step - now.boot;
    now.boot = step;
    if (!is_down()) apply(scheduler_->tick(now));
    if (step == target) return;
  }
}

void CalendarWorld::create(v1::Schedule schedule, const std::string& request_key) {
  ScheduleOrder order{.schedule = std::move(schedule), .who = "me"};
  order.request = {request_key, "digest"};
  const auto answer = call([&order](Scheduler& scheduler, CallId id, Now then) {
    return scheduler.create_schedule(id, order, then);
  });
  INFO(answer.status());
  REQUIRE(answer.ok());
}

v1::Schedule CalendarWorld::get(const std::string& name) {
  const auto answer = call([&name](Scheduler& scheduler, CallId id, Now then) {
    return scheduler.get_schedule(id, name, then);
  });
  INFO(answer.status());
  REQUIRE(answer.ok());
  return std::get<v1::Schedule>(*answer);
}

void CalendarWorld::end(const std::string& job_id) {
  v1::StopJobRequest request;
  request.set_job_id(job_id);
  const auto answer = call([&request](Scheduler& scheduler, CallId id, Now then) {
    return scheduler.stop(id, request, "me", {}, then);
  });
  REQUIRE(answer.ok());
}

void CalendarWorld::apply(Decision decision) {
  const bool dies = dies_ && !decision.persist.put_schedules.empty();
  const bool is_committed = !dies || dying_commit_is_kept_;
  std::vector<std::string> fresh;
  if (!decision.persist.empty() && is_committed) {
    REQUIRE(store.commit({&decision.persist, 1}).ok());
    std::vector<v1::Job> jobs = decision.persist.put_jobs;
    std::sort(jobs.begin(), jobs.end(),  // ids of one millisecond are in no order
              [](const v1::Job& a, const v1::Job& b) { return a.seq() < b.seq(); });
    for (const v1::Job& job : jobs) {
      if (!seen_.emplace(job.job_id(), true).second) continue;
      submissions.push_back({job.job_id(), job.schedule(), from_proto(job.submit_time())});
      fresh.push_back(job.job_id());
    }
  }
  if (dies) {
    dies_ = false;
    died_at_ = now.wall;
    scheduler_.reset();
    return;
  }
  scheduler_->committed(decision.after);
  for (Effect& effect : decision.effects) {
    if (auto* one = std::get_if<Reply>(&effect)) {
      REQUIRE(replies_.emplace(one->call, std::move(one->answer)).second);
    } else if (auto* question = std::get_if<LookUp>(&effect)) {
      apply(scheduler_->looked_up(question->id, look_up(store, *question), now));
    }
  }
  for (const std::string& id : fresh) {
    if (jobs_end_at_once && !is_down()) end(id);
  }
}

}  // namespace clusterd
