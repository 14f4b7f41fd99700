#include "worker/worker_core.h"

#include <sys/statvfs.h>

#include <cstdlib>
#include <future>
#include <utility>

#include "core/log.h"
#include "worker/output_log.h"
#include "worker/worker_files.h"

namespace clusterd {
namespace {

constexpr auto kAcknowledgedWithin = std::chrono::seconds(1);

constexpr std::chrono::minutes kSweepInterval(10);

constexpr std::chrono::seconds kRetryEndsInterval(1);

bool is_end_of(const v1::AttemptKey& key, const v1::HeldAttempt& kept) {
  return kept.has_end() && kept.has_end_time() && kept.key().job_id() == key.job_id() &&
         kept.key().attempt() == key.attempt();
}

}  // namespace

WorkerCore::WorkerCore(const WorkerConfig::Jobs& jobs, LimitsPolicy limits,
                       std::chrono::nanoseconds max_age, const Clock& clock)
    : data_dir_(jobs.data_dir),
      clock_(clock),
      admission_(jobs, std::move(limits)),
      decider_([data_dir = jobs.data_dir](const v1::AttemptKey& key) {
        return output_folder(data_dir, key);
      }),
      core_("core", clock, [this] { return on_turn(); }),
      files_("files", clock, [this] { return on_files_turn(); }),
      reading_("reading", clock, [] { return std::nullopt; }),
      cleaner_(jobs.data_dir, jobs.scratch_dir, max_age, core_, files_,
               [this](const v1::AttemptKey& key) {
                 return decider_.find(key) != nullptr || readers_->has_readers(to_id(key));
               }) {
  readers_ = std::make_unique<OutputReaders>(reading_);
  for (const AllowList* list :
       {&admission_.commands(), &admission_.programs(), &admission_.archivers()}) {
    for (const std::string& text : list->missing()) {
      log_warning("worker", "an allowed command is not on this machine", {{"command", text}});
    }
  }
}

WorkerCore::~WorkerCore() {
  reading_.stop();
  files_.stop();
  core_.stop();
}

void WorkerCore::use_session(SessionOptions options) {
  core_.post([this, options = std::move(options)]() mutable {
    membership_ =
        std::make_unique<SessionClient>(std::move(options), core_, files_, clock_, session_owner());
  });
}

void WorkerCore::use_original(OriginalOptions options) {
  core_.post([this, options = std::move(options)]() mutable {
    auto original =
        std::make_unique<OriginalMembership>(std::move(options), core_, clock_, session_owner());
    original_ = original.get();
    membership_ = std::move(original);
  });
}

void WorkerCore::with_original(absl::AnyInvocable<void(OriginalMembership*)> task) {
  core_.post([this, task = std::move(task)]() mutable { task(original_); });
}

SessionOwner WorkerCore::session_owner() {
  SessionOwner owner;
  owner.on_opening = [this](uint64_t epoch) { return decider_.on_session_opening(epoch); };
  owner.on_opened = [this](uint64_t epoch, uint64_t session) {
    metrics_.connected = true;
    decider_.on_session_opened(epoch, session, clock_.now());
  };
  owner.on_contact = [this](BootTime sent) { decider_.on_contact(sent); };
  owner.on_message = [this](const v1::SessionResponse& message) { on_session_message(message); };
  owner.on_closed = [this] {
    metrics_.connected = false;
    decider_.on_session_closed();
  };
  owner.make_heartbeat = [this] { return make_heartbeat(); };
  return owner;
}

LauncherObserver WorkerCore::launcher_observer(absl::AnyInvocable<void()> on_replaced) {
  on_replaced_ = std::move(on_replaced);
  LauncherObserver observer;
  observer.on_connected = [this](internal::LauncherHello hello) {
    core_.post([this, hello = std::move(hello)] {
      decider_.on_launcher_connected(hello, clock_.now());
      note_unenforced(hello);
      membership_->start(hello.journal_id(), unenforced_);
      if (std::exchange(launcher_seen_, true)) return;
      files_.post([this] { next_sweep_ = clock_.now().boot; });
    });
  };
  observer.on_message = [this](internal::FromLauncher message) {
    core_.post([this, message = std::move(message)] {
      decider_.on_launcher_message(message, clock_.now());
    });
  };
  observer.on_disconnected = [this](const absl::Status& status) {
    core_.post([this, status] {
      if (launcher_ != nullptr) {  // else it was told to leave
        log_warning("worker", "the launcher is gone", {{"error", status}});
      }
      decider_.on_launcher_disconnected();
      if (!absl::IsFailedPrecondition(status)) return;
      membership_->stop([] {});  // what it would say belongs to the other process now
      on_replaced_();
    });
  };
  return observer;
}

void WorkerCore::note_unenforced(const internal::LauncherHello& hello) {
  unenforced_ = unenforced_limits(hello);
  if (launcher_seen_) return;  // said already
  for (const internal::UnenforcedLimit& limit : unenforced_) {
    log_warning("worker", "jobs that ask for this limit are refused: it cannot be enforced here",
                {{"limit", limit.field()}, {"reason", limit.reason()}});
  }
  for (const std::string& key : admission_.limits().keys_without_effect(unenforced_)) {
    log_warning("worker", "a configured limit has no effect", {{"key", key}});
  }
}

void WorkerCore::use_launcher(ProcessLauncher* launcher) {
  block_on([this, launcher](absl::AnyInvocable<void()> done) {
    launcher_ = launcher;
    done();
  });
}

void WorkerCore::use_launcher_log(const LogConfig& settings) {
  core_.post([this, settings] {
    if (launcher_ == nullptr) return;
    internal::ToLauncher message;
    message.mutable_log()->set_level(settings.level);
    message.mutable_log()->set_format(settings.format);
    launcher_->send(std::move(message));
  });
}

std::optional<BootTime> WorkerCore::on_turn() {
  const Now now = clock_.now();
  decider_.on_tick(now);
  std::optional<BootTime> deadline = membership_ ? membership_->on_turn() : std::nullopt;
  bool acted = false;
  for (WorkerEffect& effect : decider_.take_effects()) {
    carry_out(std::move(effect));
    acted = true;
  }
  if (acted && membership_) deadline = membership_->on_turn();
  metrics_.held.store(decider_.held(), std::memory_order_relaxed);
  metrics_.output_bytes.store(decider_.output_bytes(), std::memory_order_relaxed);
  check_idle(now);
  for (const auto& other : {decider_.next_deadline(), idle_limit_}) {
    if (other && (!deadline || *other < *deadline)) deadline = other;
  }
  return deadline;
}

void WorkerCore::check_idle(Now now) {
  if (idle_.empty()) return;
  // With nothing left to run, the scheduler has a moment to acknowledge the ends; the journal
  // keeps those that it does not.
  const BootTime acknowledged_by = now.boot + kAcknowledgedWithin;
  const bool waits_longer = !idle_limit_ || *idle_limit_ > acknowledged_by;
  if (decider_.live() == 0 && waits_longer) idle_limit_ = acknowledged_by;
  if (decider_.held() > 0 && (!idle_limit_ || now.boot < *idle_limit_)) return;
  idle_limit_.reset();
  for (auto& idle : std::exchange(idle_, {})) idle();
}

std::optional<BootTime> WorkerCore::on_files_turn() {
  const Now now = clock_.now();
  if (next_sweep_ && now.boot >= *next_sweep_) {
    next_sweep_ = now.boot + kSweepInterval;
    cleaner_.sweep(now.wall);
  }
  if (unkept_.empty()) return next_sweep_;
  if (now.boot >= retry_ends_at_) {
    retry_ends_at_ = now.boot + kRetryEndsInterval;
    std::erase_if(unkept_,
                  [this](const v1::HeldAttempt& attempt) { return try_to_keep(attempt).ok(); });
  }
  return next_sweep_ ? std::min(*next_sweep_, retry_ends_at_) : retry_ends_at_;
}

void WorkerCore::carry_out(WorkerEffect effect) {
  if (auto* check = std::get_if<CheckStart>(&effect)) {
    check_start(std::move(*check));
  } else if (auto* orders = std::get_if<SendOrders>(&effect)) {
    metrics_.starts.add(static_cast<uint64_t>(orders->orders.launch_size()));
    if (launcher_ != nullptr) launcher_->send(std::move(orders->orders));
  } else if (auto* events = std::get_if<SendEvents>(&effect)) {
    v1::SessionRequest news;
    *news.mutable_events() = std::move(events->events);
    membership_->send(std::move(news));
  } else if (auto* keep = std::get_if<KeepEnd>(&effect)) {
    keep_end(std::move(*keep));
  } else if (const auto* told = std::get_if<TellEnd>(&effect)) {
    metrics_.count_end(told->end.reason());
    log_end(*told, line_owner());
  } else if (const auto* wake = std::get_if<WakeReaders>(&effect)) {
    if (readers_->has_readers(wake->id)) readers_->wake(wake->id, view_of(wake->id));
  } else if (auto* reply = std::get_if<CallReply>(&effect)) {
    auto call = calls_.extract(reply->call);
    if (!reply->status.ok()) {
      log_warning("worker", "orders were refused", {{"error", reply->status}});
      return call.mapped()(std::move(reply->status));
    }
    call.mapped()(std::move(reply->start));
  }
}

LineOwner WorkerCore::line_owner() const {
  if (!is_logged(LogLevel::kDebug)) return {};
  return {.worker_id = membership_ ? membership_->self().identity.worker_id() : "",
          .session = decider_.session()};
}

void WorkerCore::check_start(CheckStart check) {
  const MemberSelf self = membership_->self();
  WorkerNames names{self.identity.worker_id(), self.name};
  const LineOwner owner = line_owner();
  log_order(check.attempt, owner);
  files_.post([this, names = std::move(names), check = std::move(check), unenforced = unenforced_,
               owner, unique = self.unique_attempts] {
    const auto kept = read_end(output_folder(data_dir_, check.attempt.key()));
    if (unique && kept.ok() && *kept && is_end_of(check.attempt.key(), **kept)) {
      return core_.post([this, id = check.check, kept = **kept] {
        log_info("worker", "an attempt that ended before is not run again",
                 {{"job_id", kept.key().job_id()}, {"attempt", kept.key().attempt()}});
        decider_.on_ended_before(id, kept);
      });
    }
    auto plan = check_ ? check_(check.attempt) : admission_.check(check.attempt, names, unenforced);
    if (!plan.ok()) log_refusal(check.attempt, plan.status(), owner);
    core_.post([this, id = check.check, plan = std::move(plan)]() mutable {
      decider_.on_checked(id, std::move(plan), clock_.now());
    });
  });
}

void WorkerCore::keep_end(KeepEnd keep) {
  files_.post([this, attempt = std::move(keep.attempt)]() mutable {
    attempt.mutable_end()->clear_output_tail();  // it is in the log beside
    const absl::Status status = try_to_keep(attempt);
    if (status.ok()) return;
    log_warning("worker", "the end cannot be kept beside the output yet",
                {{"job_id", attempt.key().job_id()},
                 {"attempt", attempt.key().attempt()},
                 {"error", status}});
    unkept_.push_back(std::move(attempt));
  });
}

absl::Status WorkerCore::try_to_keep(const v1::HeldAttempt& attempt) {
  const absl::Status status = write_end(attempt.output_path(), attempt);
  // Without its folder there is no output that the end could make readable.
  if (!status.ok() && !absl::IsNotFound(status)) return status;
  core_.post([this, key = attempt.key()] { decider_.on_end_kept(key, clock_.now()); });
  return absl::OkStatus();
}

void WorkerCore::on_session_message(const v1::SessionResponse& message) {
  const Now now = clock_.now();
  switch (message.message_case()) {
    case v1::SessionResponse::kAcknowledged:
      return decider_.on_acknowledged(
          {message.acknowledged().keys().begin(), message.acknowledged().keys().end()}, now);
    case v1::SessionResponse::kFenced:
      return decider_.on_fenced({message.fenced().keys().begin(), message.fenced().keys().end()});
    case v1::SessionResponse::kDrain:
      return decider_.on_drain(message.drain().draining());
    case v1::SessionResponse::kDeleteOutputs: {
      const auto& ids = message.delete_outputs().job_ids();
      return cleaner_.delete_jobs({ids.begin(), ids.end()}, [this](v1::OutputsDeleted deleted) {
        v1::SessionRequest news;
        *news.mutable_outputs_deleted() = std::move(deleted);
        membership_->send(std::move(news));
      });
    }
    case v1::SessionResponse::kHeartbeat:
    case v1::SessionResponse::kWelcome:
    case v1::SessionResponse::MESSAGE_NOT_SET:
      return;  // heard, which is all that they say
  }
}

v1::Heartbeat WorkerCore::make_heartbeat() {
  metrics_.heartbeats.add();
  v1::Heartbeat heartbeat;
  double load = 0;
  if (getloadavg(&load, 1) == 1) heartbeat.set_load(load);
  struct statvfs disk {};
  if (statvfs(data_dir_.c_str(), &disk) == 0) {
    heartbeat.set_output_free_bytes(uint64_t{disk.f_bavail} * disk.f_frsize);
  }
  heartbeat.set_jobs(static_cast<uint32_t>(decider_.held()));
  return heartbeat;
}

OutputView WorkerCore::view_of(const AttemptId& id) const {
  OutputView view;
  const HeldAttempt* held = decider_.find(to_key(id));
  if (held == nullptr) return view;
  view.known = true;
  view.settled = held->phase != HeldAttempt::Phase::kChecking;
  view.separate = held->separate;
  view.ended = held->phase == HeldAttempt::Phase::kEnded;
  view.outputs = held->outputs;
  return view;
}

std::string WorkerCore::folder_of(const v1::AttemptKey& key) const {
  return output_folder(data_dir_, key);
}

void WorkerCore::look_up_output(OutputStreamer* streamer) {
  core_.post([this, streamer] { readers_->go_on(streamer, view_of(to_id(streamer->key()))); });
}

void WorkerCore::wait_for_output(OutputStreamer* streamer) {
  core_.post([this, streamer] { readers_->wait(streamer, view_of(to_id(streamer->key()))); });
}

void WorkerCore::cancel_wait(uint64_t reader_id) {
  core_.post([this, reader_id] { readers_->cancel(reader_id); });
}

CallId WorkerCore::await(Done<v1::StartJobsResponse> done) {
  calls_.emplace(++last_call_, std::move(done));
  return last_call_;
}

void WorkerCore::start_jobs(v1::StartJobsRequest request, Done<v1::StartJobsResponse> done) {
  core_.post([this, request = std::move(request), done = std::move(done)]() mutable {
    decider_.on_start(await(std::move(done)), std::move(request), clock_.now());
  });
}

void WorkerCore::stop_jobs(v1::StopJobsRequest request, Done<v1::StartJobsResponse> done) {
  core_.post([this, request = std::move(request), done = std::move(done)]() mutable {
    decider_.on_stop(await(std::move(done)), std::move(request), clock_.now());
  });
}

void WorkerCore::signal_job(v1::SignalAttemptRequest request, Done<v1::StartJobsResponse> done) {
  core_.post([this, request = std::move(request), done = std::move(done)]() mutable {
    decider_.on_signal(await(std::move(done)), std::move(request), clock_.now());
  });
}

void WorkerCore::query_job(v1::AttemptKey key, Done<v1::AttemptStatus> done) {
  core_.post([this, key = std::move(key), done = std::move(done)]() mutable {
    done(decider_.query(key));
  });
}

void WorkerCore::list_jobs(Done<v1::ListAttemptsResponse> done) {
  core_.post([this, done = std::move(done)]() mutable {
    v1::ListAttemptsResponse response;
    for (v1::AttemptStatus& status : decider_.list()) {
      *response.add_attempts() = std::move(status);
    }
    done(std::move(response));
  });
}

void WorkerCore::list_scripts(v1::ListWorkerScriptsRequest request,
                              Done<v1::ListWorkerScriptsResponse> done) {
  files_.post([this, request = std::move(request), done = std::move(done)]() mutable {
    if (check_) return done(v1::ListWorkerScriptsResponse());
    done(admission_.list_scripts(request));
  });
}

void WorkerCore::report_progress(v1::AttemptKey key, v1::Progress progress) {
  core_.post([this, key = std::move(key), progress = std::move(progress)] {
    decider_.on_progress(key, progress, clock_.now());
  });
}

void WorkerCore::identify(Done<v1::WorkerIdentity> done) {
  core_.post([this, done = std::move(done)]() mutable {
    done(membership_ ? membership_->self().identity : v1::WorkerIdentity());
  });
}

void WorkerCore::block_on(absl::AnyInvocable<void(absl::AnyInvocable<void()>)> task) {
  std::promise<void> finished;
  core_.post([&finished, &task] { task([&finished] { finished.set_value(); }); });
  finished.get_future().wait();
}

void WorkerCore::stop_all_jobs() {
  block_on([this](absl::AnyInvocable<void()> done) {
    decider_.stop_all(clock_.now());
    done();
  });
}

void WorkerCore::call_when_idle(std::optional<std::chrono::nanoseconds> limit,
                                absl::AnyInvocable<void()> idle) {
  core_.post([this, limit, idle = std::move(idle)]() mutable {
    idle_.push_back(std::move(idle));
    if (!limit) return;
    const BootTime latest = clock_.now().boot + *limit;
    if (!idle_limit_ || latest < *idle_limit_) idle_limit_ = latest;
  });
}

void WorkerCore::deregister() {
  block_on([this](absl::AnyInvocable<void()> done) {
    membership_->deregister(/*leaving=*/decider_.held() == 0, std::move(done));
  });
}

void WorkerCore::close(bool for_good) {
  block_on([this](absl::AnyInvocable<void()> done) { membership_->stop(std::move(done)); });
  block_on([this, for_good](absl::AnyInvocable<void()> done) {
    internal::ToLauncher orders;
    orders.set_leave(true);
    if (launcher_ != nullptr && for_good) launcher_->send(std::move(orders));
    launcher_ = nullptr;
    done();
  });
}

}  // namespace clusterd
