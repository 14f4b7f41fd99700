// What callers order of schedules.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/job_view.h"
#include "core/proto_time.h"
#include "core/units.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

constexpr size_t kTimesShown = 5;

absl::Status schedule_not_found(const std::string& name) {
  return field_error(absl::StatusCode::kNotFound, "name", "schedule not found: \"" + name + "\"");
}

v1::Schedule shown_schedule(ScheduleEntry& entry, WallTime now, size_t times) {
  v1::Schedule shown = ScheduleTable::without_script(entry);
  hide_contents(*shown.mutable_spec());
  if (!entry.fault.empty()) shown.set_message(entry.fault);
  for (const WallTime time : entry.upcoming(now, times)) {
    *shown.add_next_times() = to_proto(time);
  }
  return shown;
}

// What a request may not say.
void clear_state(v1::Schedule& schedule) {
  schedule.clear_create_time();
  schedule.clear_update_time();
  schedule.clear_last_time();
  schedule.clear_last_job_id();
  schedule.clear_runs();
  schedule.clear_skipped();
  schedule.clear_message();
  schedule.clear_next_times();
  schedule.clear_created_by();
}

// Reads leave out the values of variables, so that what was read can be written back: an empty one
// keeps the value that is stored, for whoever gave it.
absl::Status keep_values(const v1::Schedule& before, const std::string& who,
                         v1::Schedule& schedule) {
  for (auto& [name, value] : *schedule.mutable_spec()->mutable_env()) {
    const auto stored = before.spec().env().find(name);
    if (!value.empty() || stored == before.spec().env().end() || stored->second.empty()) continue;
    if (before.created_by() != who) {
      return invalid_field("spec.env", absl::StrCat("\"", name,
                                                    "\" has no value; only who gave the one that "
                                                    "is stored can leave it out"));
    }
    value = stored->second;
  }
  return absl::OkStatus();
}

// Times after now, which a clock that was wrong has left, would be waited for.
void forget_future(v1::Schedule& schedule, WallTime now) {
  if (schedule.has_last_time() && from_proto(schedule.last_time()) > now) {
    schedule.clear_last_time();
  }
}

}  // namespace

absl::Status Scheduler::check_new_schedule(const ScheduleOrder& order) const {
  const v1::Schedule& schedule = order.schedule;
  const uint64_t size = schedule.spec().script().content().size();
  const uint64_t most = config_.scheduling.max_upload_bytes;
  if (size > most) {
    return invalid_field("spec.script.content",
                         absl::StrCat(size, " bytes are more than the scheduler's max_upload of ",
                                      format_size(most)));
  }
  const uint64_t most_together = config_.scheduling.max_uploads_bytes;
  if (size == 0 || schedules_.script_bytes_without(schedule.name()) + size <= most_together) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("scripts of schedules: max_uploads = ", format_size(most_together)));
}

void Scheduler::answer_schedule(CallId call, const std::string& name, Decision& out, Now now) {
  ScheduleEntry* entry = schedules_.find(name);
  out.after = std::max(out.after, schedules_commit_);
  if (entry == nullptr) return reply(call, schedule_not_found(name), out);
  reply(call, Answer(shown_schedule(*entry, now.wall, kTimesShown)), out);
}

void Scheduler::unschedule(const v1::Job& job, Decision& out) {
  ScheduleEntry* entry = job.schedule().empty() ? nullptr : schedules_.find(job.schedule());
  if (entry == nullptr || entry->record.last_job_id() != job.job_id()) return;
  entry->record.clear_last_job_id();
  entry->record.set_runs(entry->record.runs() - 1);
  keep_schedule(*entry, out);
}

void Scheduler::keep_schedule(const ScheduleEntry& entry, Decision& out) {
  out.persist.put_schedules.push_back(entry.record);
  schedules_commit_ = commit_ + 1;
}

Decision Scheduler::create_schedule(CallId call, ScheduleOrder order, Now now) {
  Decision out;
  KeyedCall keyed{.call = call, .request = order.request};
  keyed.repeat = [this, call, now](const std::string& name, Decision& later) {
    answer_schedule(call, name, later, now);
  };
  keyed.first = [this, call, order = std::move(order)](const absl::StatusOr<LookedUp>&,
                                                       Decision& later, Now then) mutable {
    v1::Schedule& schedule = order.schedule;
    const std::string name = schedule.name();
    if (schedules_.find(name) != nullptr) {
      return reply(call,
                   field_error(absl::StatusCode::kAlreadyExists, "name",
                               "there is a schedule \"" + name + "\" already"),
                   later);
    }
    const uint64_t most = config_.scheduling.max_schedules;
    if (schedules_.size() >= most) {
      return reply(call,
                   absl::ResourceExhaustedError(absl::StrCat(
                       "there are as many schedules as there may be: max_schedules = ", most)),
                   later);
    }
    if (const absl::Status room = check_new_schedule(order); !room.ok()) {
      return reply(call, room, later);
    }
    clear_state(schedule);
    *schedule.mutable_create_time() = to_proto(then.wall);
    *schedule.mutable_update_time() = to_proto(then.wall);
    schedule.set_created_by(order.who);
    keep_schedule(schedules_.put(std::move(schedule)), later);
    watch_schedules(then);
    keep_first_answer(order.request, name, later, then);
    answer_schedule(call, name, later, then);
  };
  once(std::move(keyed), out, now);
  return seal(std::move(out), now);
}

Decision Scheduler::update_schedule(CallId call, ScheduleOrder order, Now now) {
  Decision out;
  KeyedCall keyed{.call = call, .request = order.request};
  keyed.repeat = [this, call, now](const std::string& name, Decision& later) {
    answer_schedule(call, name, later, now);
  };
  keyed.first = [this, call, order = std::move(order)](const absl::StatusOr<LookedUp>&,
                                                       Decision& later, Now then) mutable {
    v1::Schedule& schedule = order.schedule;
    const std::string name = schedule.name();
    const ScheduleEntry* entry = schedules_.find(name);
    if (entry == nullptr) return reply(call, schedule_not_found(name), later);
    if (const absl::Status room = check_new_schedule(order); !room.ok()) {
      return reply(call, room, later);
    }
    const v1::Schedule& before = entry->record;
    if (const absl::Status kept = keep_values(before, order.who, schedule); !kept.ok()) {
      return reply(call, kept, later);
    }
    clear_state(schedule);
    *schedule.mutable_create_time() = before.create_time();
    *schedule.mutable_update_time() = to_proto(then.wall);
    if (before.has_last_time()) *schedule.mutable_last_time() = before.last_time();
    forget_future(schedule, then.wall);
    schedule.set_last_job_id(before.last_job_id());
    schedule.set_runs(before.runs());
    schedule.set_skipped(before.skipped());
    schedule.set_created_by(order.who);  // its jobs run what this caller says
    keep_schedule(schedules_.put(std::move(schedule)), later);
    watch_schedules(then);
    keep_first_answer(order.request, name, later, then);
    answer_schedule(call, name, later, then);
  };
  once(std::move(keyed), out, now);
  return seal(std::move(out), now);
}

Decision Scheduler::list_schedules(CallId call, Now now) {
  Decision out;
  v1::ListSchedulesResponse all;
  schedules_.for_each([&all, now](ScheduleEntry& entry) {
    *all.add_schedules() = shown_schedule(entry, now.wall, 1);
  });
  out.after = schedules_commit_;
  reply(call, Answer(std::move(all)), out);
  return out;
}

Decision Scheduler::get_schedule(CallId call, const std::string& name, Now now) {
  Decision out;
  answer_schedule(call, name, out, now);
  return out;
}

Decision Scheduler::pause_schedule(CallId call, const v1::PauseScheduleRequest& request,
                                   const RequestKey& key, Now now) {
  return pause_or_resume(call, request.name(), true, key, now);
}

Decision Scheduler::resume_schedule(CallId call, const v1::ResumeScheduleRequest& request,
                                    const RequestKey& key, Now now) {
  return pause_or_resume(call, request.name(), false, key, now);
}

Decision Scheduler::pause_or_resume(CallId call, const std::string& name, bool paused,
                                    const RequestKey& key, Now now) {
  Decision out;
  KeyedCall keyed{.call = call, .request = key};
  keyed.repeat = [this, call, now](const std::string& subject, Decision& later) {
    answer_schedule(call, subject, later, now);
  };
  keyed.first = [this, call, name, paused, key](const absl::StatusOr<LookedUp>&, Decision& later,
                                                Now then) {
    ScheduleEntry* entry = schedules_.find(name);
    if (entry == nullptr) return reply(call, schedule_not_found(name), later);
    if (entry->record.paused() != paused) {
      entry->record.set_paused(paused);
      *entry->record.mutable_update_time() = to_proto(then.wall);
      forget_future(entry->record, then.wall);
      ScheduleTable::refresh(*entry);
      keep_schedule(*entry, later);
      watch_schedules(then);
    }
    keep_first_answer(key, name, later, then);
    answer_schedule(call, name, later, then);
  };
  once(std::move(keyed), out, now);
  return seal(std::move(out), now);
}

Decision Scheduler::trigger_schedule(CallId call, const v1::TriggerScheduleRequest& request,
                                     const std::string& fresh_job_id, const RequestKey& key,
                                     Now now) {
  Decision out;
  KeyedCall keyed{.call = call, .request = key};
  keyed.repeat = [this, call](const std::string& job_id, Decision& later) {
    ask(call, {.kind = ParkedCall::Kind::kFirstAnswer, .job_id = job_id}, later);
  };
  keyed.first = [this, call, name = request.name(), fresh_job_id, key](
                    const absl::StatusOr<LookedUp>&, Decision& later, Now then) {
    const ScheduleEntry* found = schedules_.find(name);
    if (found == nullptr) return reply(call, schedule_not_found(name), later);
    SubmitOrder order{.job_id = fresh_job_id,
                      .spec = found->record.spec(),
                      .submitted_by = found->record.created_by(),
                      .request = key,
                      .schedule = name};
    if (!accept(call, std::move(order), LookUp(), LookedUp(), later, then).ok()) return;
    ScheduleEntry& entry = *schedules_.find(name);
    entry.record.set_runs(entry.record.runs() + 1);
    entry.record.set_last_job_id(fresh_job_id);
    keep_schedule(entry, later);
  };
  once(std::move(keyed), out, now);
  return seal(std::move(out), now);
}

Decision Scheduler::delete_schedule(CallId call, const v1::DeleteScheduleRequest& request,
                                    const RequestKey& key, Now now) {
  Decision out;
  KeyedCall keyed{.call = call, .request = key};
  keyed.repeat = [this, call](const std::string&, Decision& later) {
    reply(call, Answer(v1::DeleteScheduleResponse()), later);
  };
  keyed.first = [this, call, name = request.name(), key](const absl::StatusOr<LookedUp>&,
                                                         Decision& later, Now then) {
    if (schedules_.find(name) == nullptr) return reply(call, schedule_not_found(name), later);
    schedules_.erase(name);
    later.persist.delete_schedules.push_back(name);
    schedules_commit_ = commit_ + 1;
    keep_first_answer(key, name, later, then);
    reply(call, Answer(v1::DeleteScheduleResponse()), later);
  };
  once(std::move(keyed), out, now);
  return seal(std::move(out), now);
}

}  // namespace clusterd
