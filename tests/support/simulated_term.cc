#include "support/simulated_term.h"

#include "scheduler/look_up.h"

namespace clusterd {

SimulatedTerm::SimulatedTerm(VirtualTime& time, MemoryStore& store, StoreContents contents,
                             const SchedulerConfig& config, Outside outside)
    : time_(time),
      store_(store),
      outside_(std::move(outside)),
      scheduler_(config, std::move(contents), time.now()),
      changes_(scheduler_.epoch() << 32) {}

void SimulatedTerm::begin() { apply(scheduler_.begin(now())); }

void SimulatedTerm::after(std::chrono::nanoseconds delay, VirtualTime::Task task) {
  time_.after(delay, [alive = alive_, task = std::move(task)] {
    if (*alive) task();
  });
}

void SimulatedTerm::apply(Decision decision) {
  if (!decision.persist.empty()) {
    ++changes_;
    batches_.emplace_back(decision.after, std::move(decision.persist));
    commit();
  }
  if (!decision.effects.empty() && decision.after <= durable_) {
    perform(std::move(decision.effects));
  } else if (!decision.effects.empty()) {
    auto place = held_.end();
    while (place != held_.begin() && std::prev(place)->first > decision.after) --place;
    held_.emplace(place, decision.after, std::move(decision.effects));
  }
  set_alarm();
}

void SimulatedTerm::commit() {
  if (committing_ || batches_.empty()) return;
  committing_ = true;
  auto writing =
      std::make_shared<std::vector<std::pair<uint64_t, StoreBatch>>>(std::exchange(batches_, {}));
  after(time_.pick_ms(0, 8), [this, writing] {
    std::vector<StoreBatch> batches;
    for (auto& [number, batch] : *writing) batches.push_back(std::move(batch));
    const bool durable = store_.commit(batches).ok();
    committing_ = false;
    if (!durable) return outside_.on_failure();  // this object is gone when it returns
    durable_ = writing->back().first;
    scheduler_.committed(durable_);
    outside_.on_commit();
    while (!held_.empty() && held_.front().first <= durable_) {
      std::vector<Effect> effects = std::move(held_.front().second);
      held_.pop_front();
      perform(std::move(effects));
    }
    commit();
  });
}

void SimulatedTerm::perform(std::vector<Effect> effects) {
  for (Effect& effect : effects) perform(std::move(effect));
}

void SimulatedTerm::perform(Effect effect) {
  if (auto* question = std::get_if<LookUp>(&effect)) {
    // The store is read at one moment, the answer arrives at another.
    after(time_.pick_ms(0, 5), [this, question = std::move(*question)] {
      auto found = look_up(store_, question);
      after(time_.pick_ms(0, 5),
            [this, id = question.id, found] { apply(scheduler_.looked_up(id, found, now())); });
    });
  } else if (auto* find = std::get_if<FindExpired>(&effect)) {
    after(time_.pick_ms(0, 5), [this, find = *find] {
      const auto ids = store_.find_expired(find.before, find.max_jobs, find.limit);
      apply(scheduler_.expired(*ids, now()));
    });
  } else if (auto* matching = std::get_if<FindMatching>(&effect)) {
    after(time_.pick_ms(0, 5), [this, matching = std::move(*matching)] {
      auto found = find_matching(store_, matching);
      after(time_.pick_ms(0, 5),
            [this, id = matching.id, found] { apply(scheduler_.matched(id, found, now())); });
    });
  } else if (auto* doomed = std::get_if<SendDoomed>(&effect)) {
    const auto ids = store_.find_doomed(doomed->worker_id, 1000);
    if (ids->empty()) return;
    SendDown down{doomed->stream, doomed->message};
    for (const std::string& id : *ids) down.message.mutable_delete_outputs()->add_job_ids(id);
    outside_.perform(std::move(down));
  } else {
    outside_.perform(std::move(effect));
  }
}

void SimulatedTerm::set_alarm() {
  const auto deadline = scheduler_.next_deadline();
  if (!deadline || (alarm_ && *alarm_ <= *deadline)) return;
  alarm_ = deadline;
  const auto delay = std::max(*deadline - now().boot, std::chrono::nanoseconds(0));
  after(delay, [this, at = *deadline] {
    if (alarm_ != at) return;
    alarm_.reset();
    apply(scheduler_.tick(now()));
  });
}

}  // namespace clusterd
