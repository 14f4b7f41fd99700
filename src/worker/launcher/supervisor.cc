#include "worker/launcher/supervisor.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "clusterd/version.h"
#include "core/log.h"
#include "core/proto_time.h"
#include "worker/executable_file.h"
#include "worker/frame_socket.h"

namespace clusterd {
namespace {

constexpr size_t kSpawnThreads = 2;
constexpr size_t kMaxNews = 500;
constexpr size_t kForgottenBeforeCompaction = 2048;

std::pair<std::string, uint32_t> index_of(const v1::AttemptKey& key) {
  return {key.job_id(), key.attempt()};
}

template <typename Set>
std::optional<typename Set::value_type> pop_first(Set& set) {
  if (set.empty()) return std::nullopt;
  return set.extract(set.begin()).value();
}

}  // namespace

Supervisor::Supervisor(SupervisorOptions options, Journal journal, const Clock& clock,
                       Poller& poller, std::function<void(SupervisorEvent)> post)
    : options_(std::move(options)),
      clock_(clock),
      poller_(poller),
      post_(std::move(post)),
      journal_(std::move(journal)),
      contact_(clock.now().boot),
      cgroups_(CgroupHome::open(options_.data_dir, options_.cgroups, options_.cgroup_parent)),
      pump_(std::make_unique<OutputPump>([this](OutputNews news) { post_(std::move(news)); })),
      scratch_(std::make_unique<ScratchFolders>()),
      keeper_(std::make_unique<PipeKeeper>()),
      spawner_(
          std::make_unique<Spawner>(kSpawnThreads, options_.baseline, cgroups_,
                                    [this](SpawnResult result) { post_(std::move(result)); })) {}

Supervisor::~Supervisor() = default;

Attempt* Supervisor::find(Handle handle) {
  const auto found = attempts_.find(handle);
  return found == attempts_.end() ? nullptr : found->second.get();
}

Attempt* Supervisor::find(const v1::AttemptKey& key) {
  const auto found = by_key_.find(index_of(key));
  return found == by_key_.end() ? nullptr : find(found->second);
}

Attempt& Supervisor::insert(JournalAttempt record) {
  auto attempt = std::make_unique<Attempt>();
  attempt->record = std::move(record);
  Attempt& inserted = *attempt;
  by_key_[index_of(inserted.key())] = inserted.handle();
  attempts_[inserted.handle()] = std::move(attempt);
  ++unended_;
  return inserted;
}

void Supervisor::erase(Handle handle) {
  const auto found = attempts_.find(handle);
  if (found->second->timer) timers_.erase({*found->second->timer, handle});
  if (found->second->phase != Attempt::Phase::kEnded) --unended_;
  news_started_.erase(handle);
  news_ended_.erase(handle);
  news_suspension_.erase(handle);
  news_descriptors_.erase(handle);
  by_key_.erase(index_of(found->second->key()));
  attempts_.erase(found);
  ++forgotten_;
}

bool Supervisor::holds_job() const { return unended_ > 0; }

void Supervisor::write(JournalType type, std::string_view body) {
  write_later(type, body);
  write_due();
}

void Supervisor::write_later(JournalType type, std::string_view body) {
  due_ += make_record(type, body);
}

void Supervisor::write_due() {
  if (due_.empty()) return;
  const std::string records = std::exchange(due_, {});
  const absl::Status status = journal_.append_all(records);
  if (!status.ok()) log_error("launcher", "journal", {{"error", status}});
  if (compaction_runs_) written_meanwhile_ += records;
}

void Supervisor::write_state(Attempt& attempt) {
  attempt.record.state.set_handle(attempt.handle());
  write(JournalType::kState, attempt.record.state.SerializeAsString());
}

std::optional<BootTime> Supervisor::next_deadline() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first;
}

void Supervisor::on_tick() {
  const BootTime now = clock_.now().boot;
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Attempt& attempt = *attempts_.at(timers_.begin()->second);
    timers_.erase(timers_.begin());
    attempt.timer.reset();
    on_deadline(attempt);
  }
  for (const OutputFinished& finished : std::exchange(finished_silent_, {})) {
    on_output_finished(finished);
  }
  write_due();
  compact_if_due();
}

void Supervisor::arm(Attempt& attempt) {
  const std::optional<BootTime> deadline = deadline_of(attempt);
  if (deadline == attempt.timer) return;
  if (attempt.timer) timers_.erase({*attempt.timer, attempt.handle()});
  attempt.timer = deadline;
  if (deadline) timers_.insert({*deadline, attempt.handle()});
}

std::optional<BootTime> Supervisor::timeout_of(const Attempt& attempt) const {
  const internal::JournalState& state = attempt.record.state;
  if (!attempt.record.intent.has_timeout() || state.suspended()) return std::nullopt;
  const auto left =
      from_proto(attempt.record.intent.timeout()) - std::chrono::nanoseconds(state.run_used_ns());
  return BootTime(std::chrono::nanoseconds(state.running_since_ns())) + left;
}

std::optional<BootTime> Supervisor::archive_until(const Attempt& attempt) {
  return BootTime(std::chrono::nanoseconds(attempt.record.state.archive().until_boottime_ns()));
}

std::optional<BootTime> Supervisor::fence_of(const Attempt& attempt) const {
  if (!attempt.record.intent.has_fence_after()) return std::nullopt;
  return contact_ + from_proto(attempt.record.intent.fence_after());
}

std::optional<BootTime> Supervisor::deadline_of(const Attempt& attempt) const {
  using Phase = Attempt::Phase;
  std::optional<BootTime> first = attempt.look_again;
  const auto consider = [&first](std::optional<BootTime> time) {
    if (time && (!first || *time < *first)) first = time;
  };
  if (attempt.phase == Phase::kArchiving) {
    if (!attempt.archive_killed) consider(archive_until(attempt));
    return first;
  }
  if (attempt.phase != Phase::kRunning && attempt.phase != Phase::kClearing) return std::nullopt;
  if (attempt.is_being_ended() || attempt.phase == Phase::kClearing) {
    const auto kill_at = std::chrono::nanoseconds(attempt.record.state.kill_boottime_ns());
    if (!attempt.killing) consider(BootTime(kill_at));
  } else {
    consider(timeout_of(attempt));
    consider(fence_of(attempt));
  }
  return first;
}

void Supervisor::on_deadline(Attempt& attempt) {
  const BootTime now = clock_.now().boot;
  const auto due = [now](std::optional<BootTime> time) { return time && *time <= now; };
  if (attempt.phase == Attempt::Phase::kArchiving) {
    if (!attempt.archive_killed && due(archive_until(attempt))) return kill_archive(attempt);
    if (!due(attempt.look_again)) return arm(attempt);
    attempt.look_again.reset();
    return look_at_archive(attempt);  // it may end the attempt
  }
  const bool is_ending = attempt.is_being_ended() || attempt.phase == Attempt::Phase::kClearing;
  const BootTime kill_at{std::chrono::nanoseconds(attempt.record.state.kill_boottime_ns())};
  if (is_ending && !attempt.killing && due(kill_at)) {
    kill_tree(attempt);
  } else if (due(attempt.look_again)) {
    attempt.look_again.reset();
    if (attempt.phase == Attempt::Phase::kClearing || attempt.own_child) {
      look_at_tree(attempt);
    } else {
      resolve(attempt);
      const bool goes_on = attempt.phase == Attempt::Phase::kRunning && attempt.killing;
      if (goes_on) kill_tree(attempt);
    }
  } else if (!is_ending && due(fence_of(attempt))) {
    begin_ending(attempt, internal::JournalState::SELF_FENCE);
  } else if (!is_ending && due(timeout_of(attempt))) {
    begin_ending(attempt, internal::JournalState::TIMEOUT);
  }
  arm(attempt);
}

void Supervisor::on_event(SupervisorEvent event) {
  if (auto* result = std::get_if<SpawnResult>(&event)) {
    on_spawn_result(std::move(*result));
  } else if (auto* compacted = std::get_if<CompactedJournal>(&event)) {
    on_compacted(std::move(*compacted));
  } else if (const auto* tried = std::get_if<TriedExecutable>(&event)) {
    on_tried(*tried);
  } else if (auto* started = std::get_if<ArchiveStarted>(&event)) {
    on_archive_started(std::move(*started));
  } else if (auto* news = std::get_if<OutputNews>(&event)) {
    on_output_news(std::move(*news));
  }
}

void Supervisor::compact_if_due() {
  if (!compacting_ && forgotten_ >= std::max(kForgottenBeforeCompaction, attempts_.size())) {
    compacting_ = true;  // new spawns wait, so that no child writes to the old file any more
  }
  if (!compacting_ || compaction_runs_ || in_flight_ > 0) return;
  compaction_runs_ = true;
  std::string records = journal_.open_record(next_handle_);
  const auto contact = static_cast<uint64_t>(contact_.time_since_epoch().count());
  records += make_record(JournalType::kContact,
                         {reinterpret_cast<const char*>(&contact), sizeof(contact)});
  for (const auto& [handle, attempt] : attempts_) {
    if (attempt->phase != Attempt::Phase::kStarting) records += attempt->record.to_records();
  }
  forgotten_ = 0;
  spawner_->run([this, records = std::move(records)] {
    post_(CompactedJournal{Journal::write_beside(options_.data_dir + "/launcher", records)});
  });
}

void Supervisor::on_compacted(CompactedJournal compacted) {
  absl::Status status = compacted.file.status();
  if (status.ok() && !written_meanwhile_.empty()) {
    const ssize_t size =
        ::write(compacted.file->get(), written_meanwhile_.data(), written_meanwhile_.size());
    if (size != static_cast<ssize_t>(written_meanwhile_.size())) {
      status = absl::ResourceExhaustedError(std::strerror(errno));
    }
  }
  if (status.ok()) status = journal_.adopt(*std::move(compacted.file));
  if (!status.ok()) log_error("launcher", "journal not compacted", {{"error", status}});
  written_meanwhile_.clear();
  compaction_runs_ = false;
  compacting_ = false;
  start_held_back();
}

void Supervisor::start_held_back() {
  if (holds_starts_back()) return;
  for (SpawnOrder& order : std::exchange(held_back_, {})) begin_spawn(std::move(order));
}

internal::LaunchedAttempt Supervisor::describe(const Attempt& attempt) const {
  internal::LaunchedAttempt described;
  *described.mutable_key() = attempt.key();
  described.set_started(attempt.record.spawned.has_value() && !attempt.record.spawn_failed);
  if (described.started()) {
    const WallTime start{std::chrono::nanoseconds(attempt.record.spawned->wall_ns)};
    *described.mutable_start_time() = to_proto(start);
  }
  if (attempt.record.end) {
    *described.mutable_end() = attempt.record.end->end();
    *described.mutable_end_time() = attempt.record.end->time();
    *described.mutable_outputs() = attempt.record.end->end().outputs();
  } else {
    for (const v1::OutputStream& output : attempt.outputs) *described.add_outputs() = output;
  }
  described.set_suspended(attempt.record.state.suspended());
  described.set_trace_parent(attempt.record.intent.trace_parent());
  const bool is_archiving = attempt.phase == Attempt::Phase::kArchiving;
  described.set_pid(is_archiving ? attempt.archive.pid : attempt.pid());
  return described;
}

internal::LauncherHello Supervisor::hello(pid_t worker) {
  worker_is_parent_ = worker > 0 && worker == ::getppid();
  internal::LauncherHello hello;
  hello.set_protocol_version(1);
  hello.set_version(version());
  hello.set_journal_id(journal_.id());
  hello.set_enforces_limits(true);
  for (internal::UnenforcedLimit& limit : cgroups_.home().unenforced()) {
    *hello.add_unenforced_limits() = std::move(limit);
  }
  hello.set_executable_id(executable_id(kOwnExecutable));
  news_started_.clear();
  news_ended_.clear();
  news_gone_.clear();
  news_suspension_.clear();
  news_growth_.clear();
  news_descriptors_.clear();
  for (const auto& [handle, attempt] : attempts_) {
    const bool is_fenced = attempt->record.state.ending() == internal::JournalState::FENCE;
    if (attempt->fence_when_started || is_fenced) continue;
    *hello.add_attempts() = describe(*attempt);
    if (has_descriptors_for_worker(*attempt)) news_descriptors_.insert(handle);
  }
  return hello;
}

void Supervisor::tell_started(const Attempt& attempt) {
  news_started_.insert(attempt.handle());
  if (has_descriptors_for_worker(attempt)) news_descriptors_.insert(attempt.handle());
}

// A worker that is our parent gets the processes themselves where this one dies, and has had most
// FIFOs from the keeper.
bool Supervisor::has_descriptors_for_worker(const Attempt& attempt) const {
  return attempt.has_process() && !(worker_is_parent_ && keeper_->is_current(attempt.pipes_kept));
}

void Supervisor::add_descriptors(const Attempt& attempt, News* news) const {
  const bool is_archiving = attempt.phase == Attempt::Phase::kArchiving;
  const UniqueFd& process = is_archiving ? attempt.archive.pidfd : attempt.pidfd;
  if (!attempt.has_process()) return;
  if (!worker_is_parent_ && process.valid()) {
    internal::PassedDescriptor* pidfd = news->message.add_descriptors();
    *pidfd->mutable_key() = attempt.key();
    pidfd->set_kind(internal::PassedDescriptor::PIDFD);
    pidfd->set_pid(is_archiving ? attempt.archive.pid : attempt.pid());
    news->descriptors.push_back(process.get());
  }
  if (keeper_->is_current(attempt.pipes_kept)) return;
  for (const auto& [stream, fd] : attempt.fifos) {
    internal::PassedDescriptor* fifo = news->message.add_descriptors();
    *fifo->mutable_key() = attempt.key();
    fifo->set_kind(internal::PassedDescriptor::FIFO);
    fifo->set_stream(stream);
    news->descriptors.push_back(fd);
  }
}

bool Supervisor::has_news() const {
  return !news_started_.empty() || !news_descriptors_.empty() || !news_growth_.empty() ||
         !news_suspension_.empty() || !news_ended_.empty() || !news_gone_.empty() ||
         !upgrade_refused_.empty();
}

std::optional<News> Supervisor::take_news() {
  News news;
  size_t count = 0;
  while (count < kMaxNews && news.descriptors.size() + 3 <= FrameSocket::kMaxDescriptors) {
    const std::optional<Handle> handle = pop_first(news_started_);
    if (!handle) break;
    *news.message.add_started() = describe(*attempts_.at(*handle));
    if (news_descriptors_.erase(*handle) > 0) add_descriptors(*attempts_.at(*handle), &news);
    ++count;
  }
  // Of attempts that the worker knows.
  while (news_started_.empty() && news.descriptors.size() + 3 <= FrameSocket::kMaxDescriptors) {
    const std::optional<Handle> handle = pop_first(news_descriptors_);
    if (!handle) break;
    add_descriptors(*attempts_.at(*handle), &news);
    ++count;
  }
  while (count < kMaxNews && !news_growth_.empty()) {
    const auto [handle, index] = *pop_first(news_growth_);
    const Attempt* attempt = find(handle);
    if (attempt == nullptr || attempt->phase == Attempt::Phase::kEnded) continue;
    internal::OutputGrowth* growth = news.message.add_growth();
    *growth->mutable_key() = attempt->key();
    *growth->mutable_output() = attempt->outputs[index];
    ++count;
  }
  while (count < kMaxNews && !news_suspension_.empty()) {
    *news.message.add_suspension() = describe(*attempts_.at(*pop_first(news_suspension_)));
    ++count;
  }
  // Ends come after the starts that they belong to.
  while (count < kMaxNews && news_started_.empty() && !news_ended_.empty()) {
    *news.message.add_ended() = describe(*attempts_.at(*pop_first(news_ended_)));
    ++count;
  }
  while (count < kMaxNews && news_started_.empty() && !news_gone_.empty()) {
    *news.message.add_ended()->mutable_key() = std::move(news_gone_.back());
    news_gone_.pop_back();
    ++count;
  }
  if (!upgrade_refused_.empty()) {
    news.message.set_upgrade_refused(std::exchange(upgrade_refused_, {}));
    ++count;
  }
  if (count == 0) return std::nullopt;
  return news;
}

}  // namespace clusterd
