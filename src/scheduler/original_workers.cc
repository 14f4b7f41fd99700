#include "scheduler/original_workers.h"

#include <algorithm>
#include <utility>

#include "core/log.h"
#include "core/worker_protocol.h"
#include "scheduler/original_worker_link.h"
#include "scheduler/term.h"

namespace clusterd {
namespace {

constexpr int kLeastProbes = 3;  // within worker_timeout

}  // namespace

OriginalWorkers::OriginalWorkers(const SchedulerConfig& config, Term& term, Surroundings around)
    : config_(config), term_(term), around_(std::move(around)) {}

OriginalWorkers::~OriginalWorkers() = default;

OriginalWorkers::Member* OriginalWorkers::find(const std::string& worker_id) {
  const auto found = members_.find(worker_id);
  return found == members_.end() ? nullptr : &found->second;
}

void OriginalWorkers::admit(AdmitOriginal admission) {
  if (around_.make_link == nullptr) return;
  const std::string worker_id = admission.worker.worker_id();
  const v1::Worker::Protocol protocol = admission.worker.protocol();
  dismiss(worker_id);
  Member& member = members_[worker_id];
  member.link = around_.make_link(admission.worker, *this);
  const SchedulerConfig::Scheduling& times = config_.scheduling;
  const OriginalWorker::Settings settings{
      .protocol = protocol,
      .probe_interval = std::min(times.heartbeat_interval, times.worker_timeout / kLeastProbes),
      .heartbeat_timeout = config_.compat.heartbeat_timeout,
      .lost_after = times.lost_after,
      .epoch = term_.scheduler().epoch()};
  member.worker = std::make_unique<OriginalWorker>(worker_id, settings, std::move(admission.held),
                                                   admission.remembered, around_.clock.now());
  log_info("scheduler",
           admission.remembered ? "a worker of another protocol is remembered"
                                : "a worker of another protocol is a member",
           {{"worker_id", worker_id},
            {"name", admission.worker.name()},
            {"protocol", word_of(protocol)},
            {"address", admission.worker.address()}});
  member.worker->tick(around_.clock.now());
  run(worker_id, member);
}

void OriginalWorkers::dismiss(const std::string& worker_id) {
  Member* member = find(worker_id);
  if (member == nullptr) return;
  if (member->due) due_.erase({*member->due, worker_id});
  for (auto& [number, order] : member->orders) {
    std::visit([](auto& done) { done(absl::UnavailableError("no member any more")); }, order);
  }
  members_.erase(worker_id);
}

void OriginalWorkers::release(const std::string& worker_id, const v1::AttemptKey& key) {
  Member* member = find(worker_id);
  if (member == nullptr) return;
  member->worker->forget(key);
  run(worker_id, *member);
}

std::shared_ptr<WorkerLink> OriginalWorkers::link_of(const std::string& worker_id) const {
  const auto found = members_.find(worker_id);
  return found == members_.end() ? nullptr : found->second.link;
}

void OriginalWorkers::identify(const std::string& worker_id,
                               WorkerLink::Done<v1::WorkerIdentity> done) {
  const Member* member = find(worker_id);
  const absl::Status status = member == nullptr ? absl::UnavailableError("no member any more")
                                                : member->worker->identify(around_.clock.now());
  if (!status.ok()) return done(status);
  v1::WorkerIdentity identity;
  identity.set_worker_id(worker_id);
  done(std::move(identity));
}

void OriginalWorkers::start(const std::string& worker_id, const v1::StartJobsRequest& request,
                            WorkerLink::Done<v1::StartJobsResponse> done) {
  Member* member = find(worker_id);
  if (member == nullptr) return done(absl::UnavailableError("no member any more"));
  std::vector<std::string> remote_ids;
  for (const v1::StartAttempt& attempt : request.attempts()) {
    remote_ids.push_back(term_.scheduler().task_id_of(attempt.key().job_id()));
  }
  member->orders.emplace(++last_order_, std::move(done));
  member->worker->start(last_order_, request, remote_ids, around_.clock.now());
  run(worker_id, *member);
}

void OriginalWorkers::stop(const std::string& worker_id, const v1::StopJobsRequest& request,
                           WorkerLink::Done<v1::StopJobsResponse> done) {
  Member* member = find(worker_id);
  if (member == nullptr) return done(absl::UnavailableError("no member any more"));
  member->orders.emplace(++last_order_, std::move(done));
  member->worker->stop(last_order_, request, around_.clock.now());
  run(worker_id, *member);
}

absl::Status OriginalWorkers::heard(const std::string& worker_id, OriginalStatus status) {
  Member* member = find(worker_id);
  if (member == nullptr) return absl::NotFoundError("member not found");
  member->worker->heard(status, around_.clock.now());
  run(worker_id, *member);
  return absl::OkStatus();
}

std::string OriginalWorkers::member_status(const std::string& worker_id) const {
  const auto found = members_.find(worker_id);
  return found == members_.end() ? "" : found->second.worker->member_status(around_.clock.now());
}

std::optional<BootTime> OriginalWorkers::turn() {
  const Now now = around_.clock.now();
  while (!due_.empty() && due_.begin()->first <= now.boot) {
    const std::string worker_id = due_.begin()->second;
    Member& member = members_.at(worker_id);
    member.worker->tick(now);
    run(worker_id, member);
    // What is still due waits for the next turn, so that one member cannot hold up the others.
    if (member.due && *member.due <= now.boot) return member.due;
  }
  return due_.empty() ? std::nullopt : std::optional(due_.begin()->first);
}

void OriginalWorkers::run(const std::string& worker_id, Member& member) {
  for (OriginalEffect& effect : member.worker->take_effects()) {
    if (auto* call = std::get_if<OriginalCall>(&effect)) {
      make_call(worker_id, member, std::move(*call));
      continue;
    }
    around_.post([this, worker_id, effect = std::move(effect)]() mutable {
      perform(worker_id, std::move(effect));
    });
  }
  if (member.due) due_.erase({*member.due, worker_id});
  member.due = member.worker->next_deadline();
  if (member.due) due_.emplace(*member.due, worker_id);
}

void OriginalWorkers::make_call(const std::string& worker_id, const Member& member,
                                OriginalCall call) {
  const uint64_t id = call.id;
  // A member that was replaced meanwhile has another link.
  member.link->call(std::move(call), [this, worker_id, id, link = member.link.get(),
                                      post = around_.post](absl::StatusOr<OriginalAnswer> answer) {
    post([this, worker_id, id, link, answer = std::move(answer)] {
      Member* found = find(worker_id);
      if (found == nullptr || found->link.get() != link) return;
      if (!answer.ok()) {
        log_debug("scheduler", "a worker of another protocol says no, or nothing",
                  {{"worker_id", worker_id}, {"error", answer.status()}});
      }
      found->worker->answered(id, answer, around_.clock.now());
      run(worker_id, *found);
    });
  });
}

void OriginalWorkers::perform(const std::string& worker_id, OriginalEffect effect) {
  Member* member = find(worker_id);
  if (member == nullptr) return;
  if (const auto* open = std::get_if<OpenSession>(&effect)) {
    open_session(worker_id, *member, open->hello);
  } else if (const auto* say = std::get_if<SayInSession>(&effect)) {
    term_.session_message(member->stream, say->message);
  } else if (std::holds_alternative<CloseSession>(effect)) {
    term_.session_closed(std::exchange(member->stream, 0));
  } else if (auto* order = std::get_if<AnswerOrder>(&effect)) {
    answer(*member, std::move(*order));
  } else if (const auto* gone = std::get_if<WorkerGone>(&effect)) {
    term_.original_gone(worker_id, gone->reason);
  }
}

void OriginalWorkers::open_session(const std::string& worker_id, Member& member,
                                   const v1::SessionHello& hello) {
  const StreamId stream = around_.next_id();
  member.stream = stream;
  SessionPort port;
  port.send = [this, worker_id, stream](v1::SessionResponse message) {
    around_.post([this, worker_id, stream, message = std::move(message)] {
      Member* found = find(worker_id);
      if (found == nullptr || found->stream != stream) return;
      found->worker->told(message, around_.clock.now());
      run(worker_id, *found);
    });
  };
  port.close = [this, worker_id, stream](const absl::Status&) {
    around_.post([this, worker_id, stream] {
      Member* found = find(worker_id);
      if (found == nullptr || found->stream != stream) return;
      found->stream = 0;
      found->worker->session_closed(around_.clock.now());
      run(worker_id, *found);
    });
  };
  term_.open_original_session(stream, std::move(port), hello);
}

void OriginalWorkers::answer(Member& member, AnswerOrder answer) {
  auto order = member.orders.extract(answer.order);
  if (order.empty()) return;
  if (auto* start = std::get_if<WorkerLink::Done<v1::StartJobsResponse>>(&order.mapped())) {
    if (!answer.status.ok()) return (*start)(answer.status);
    return (*start)(std::move(answer.verdicts));
  }
  auto& stop = std::get<WorkerLink::Done<v1::StopJobsResponse>>(order.mapped());
  if (!answer.status.ok()) return stop(answer.status);
  stop(v1::StopJobsResponse());
}

}  // namespace clusterd
