#include "worker/library/handler_launcher.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "core/log.h"
#include "core/proto_time.h"
#include "core/signal_names.h"
#include "worker/output_log.h"
#include "worker/worker_files.h"

namespace clusterd {
namespace {

using internal::JournalState;

constexpr char kJournalFolder[] = "/launcher";
constexpr std::chrono::milliseconds kNewsInterval(2);
constexpr std::chrono::milliseconds kProgressInterval(100);
constexpr size_t kForgottenBeforeCompaction = 1000;
constexpr std::chrono::seconds kFencePatience(1);
constexpr std::chrono::nanoseconds kLeastPatience = std::chrono::milliseconds(100);
constexpr int kStuck = 70;  // exit code

template <typename Body>
std::string_view view_of(const Body& body) {
  return {reinterpret_cast<const char*>(&body), sizeof(body)};
}

void note(const absl::Status& written) {
  if (!written.ok()) log_error("worker", "journal not written", {{"error", written}});
}

void earlier(std::optional<BootTime>& time, BootTime other) {
  if (!time || other < *time) time = other;
}

// The scheduler counts on a margin after the fence, which is a tenth of it or more.
std::chrono::nanoseconds fence_patience(const JobContext::Run& run) {
  const auto fence = from_proto(run.plan.fence_after());
  if (fence.count() == 0) return kFencePatience;
  return std::min<std::chrono::nanoseconds>(kFencePatience, fence / 20);
}

}  // namespace

HandlerLauncher::HandlerLauncher(Options options, const Clock& clock, LauncherObserver observer,
                                 ProgressObserver on_progress)
    : options_(std::move(options)),
      clock_(clock),
      observer_(std::move(observer)),
      on_progress_(std::move(on_progress)) {}

HandlerLauncher::~HandlerLauncher() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    for (const auto& [id, run] : runs_) {
      if (run->running && !run->stuck_at) run->stuck_at = BootTime::max();
    }
  }
  wake_.notify_all();
  if (watch_.joinable()) watch_.join();
}

absl::Status HandlerLauncher::start() {
  const std::string folder = options_.data_dir + kJournalFolder;
  if (auto status = make_folder(folder); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  JournalContent content;
  auto journal = Journal::open(folder, options_.boot_id, &content);
  if (!journal.ok()) return journal.status();
  journal_.emplace(*std::move(journal));
  next_handle_ = content.next_handle;
  contact_ = clock_.now().boot;
  std::map<uint64_t, int> crashes;
  auto notes = CrashNotes::open(folder, &crashes);
  if (!notes.ok()) return notes.status();
  crashes_.emplace(*std::move(notes));
  recover(content, crashes);
  crashes_->forget_earlier();
  internal::LauncherHello hello;
  hello.set_protocol_version(1);
  hello.set_journal_id(journal_->id());
  for (const auto& [id, run] : runs_) *hello.add_attempts() = describe(*run);
  observer_.on_connected(std::move(hello));
  watch_ = std::thread([this] { watch(); });
  return absl::OkStatus();
}

void HandlerLauncher::recover(const JournalContent& content,
                              const std::map<uint64_t, int>& crashes) {
  for (const auto& [handle, record] : content.attempts) {
    const v1::AttemptKey& key = record.intent.key();
    if (!record.spawned && !record.end) {  // never started, which its absence says
      write(JournalType::kForgotten, view_of(handle));
      continue;
    }
    v1::StartAttempt order;
    *order.mutable_key() = key;
    order.set_trace_parent(record.intent.trace_parent());
    const std::string folder = output_folder(options_.data_dir, key);
    auto run = std::make_shared<Run>(std::move(order), folder, OutputBounds(), RunObserver());
    run->handle = handle;
    run->record = record;
    runs_.emplace(to_id(key), run);
    if (record.end) continue;
    v1::JobEnd end;
    end.set_reason(v1::JobEnd::EXIT_STATUS_UNKNOWN);
    end.set_message("the program that ran it ended while it ran");
    if (const auto crash = crashes.find(handle); crash != crashes.end()) {
      end.set_reason(v1::JobEnd::SIGNALED);
      end.set_signal(crash->second);
      end.set_message("the handler crashed: SIG" + signal_name(crash->second));
    }
    auto reader = OutputReader::open(folder, v1::OutputStream::MERGED);
    auto extent = reader.ok() ? reader->extent() : reader.status();
    if (extent.ok()) *end.add_outputs() = *extent;
    internal::JournalEnd written;
    written.set_handle(handle);
    *written.mutable_end() = std::move(end);
    *written.mutable_time() = to_proto(clock_.now().wall);
    write(JournalType::kEnd, written.SerializeAsString());
    run->record.end = std::move(written);
  }
}

void HandlerLauncher::write(JournalType type, std::string_view body) {
  note(journal_->append(type, body));
}

void HandlerLauncher::send(internal::ToLauncher message) {
  const std::lock_guard lock(mutex_);
  if (message.contact_boottime_ns() != 0) {
    contact_ =
        std::max(contact_, BootTime(std::chrono::nanoseconds(message.contact_boottime_ns())));
  }
  launch(message);
  for (const v1::AttemptKey& key : message.stop()) stop(key);
  for (const v1::AttemptKey& key : message.fence()) fence(key);
  forget(message);
  begin_waiting();
  compact_if_due();
}

RunObserver HandlerLauncher::observer_of(const AttemptId& id) {
  RunObserver observer;
  observer.on_output = [this, id] {
    bool is_first = false;
    {
      const std::lock_guard lock(mutex_);
      const auto found = runs_.find(id);
      if (found == runs_.end()) return;
      Run& run = *found->second;
      if (run.ending == JournalState::ENDING_UNSPECIFIED && !run.output.limit().empty()) {
        ask_to_end(run, JournalState::OUTPUT_LIMIT, from_proto(run.plan.stop_grace()));
        is_first = true;
      }
      run.output_grew = true;
      if (!news_at_) {
        news_at_ = clock_.now().boot + kNewsInterval;
        is_first = true;
      }
    }
    if (is_first) wake_.notify_all();
  };
  observer.on_progress = [this, id](v1::Progress progress) {
    bool is_first = false;
    {
      const std::lock_guard lock(mutex_);
      const auto found = runs_.find(id);
      if (found == runs_.end()) return;
      found->second->progress = std::move(progress);
      is_first = !progress_at_;
      if (is_first) progress_at_ = clock_.now().boot + kProgressInterval;
    }
    if (is_first) wake_.notify_all();
  };
  return observer;
}

HandlerLauncher::RunPtr HandlerLauncher::make_run(internal::LaunchPlan plan) {
  v1::StartAttempt order;
  (void)order.ParseFromString(plan.stdin());  // of our own making
  plan.clear_stdin();
  const OutputBounds bounds{.max_bytes = plan.max_output_bytes(),
                            .stops = plan.on_output_limit() == v1::OutputSpec::STOP};
  auto run = std::make_shared<Run>(std::move(order), output_folder(options_.data_dir, plan.key()),
                                   bounds, observer_of(to_id(plan.key())));
  run->plan = std::move(plan);
  run->handle = next_handle_++;
  internal::JournalIntent& intent = run->record.intent;
  intent.set_handle(run->handle);
  *intent.mutable_key() = run->plan.key();
  intent.set_executable(run->plan.executable());
  intent.set_max_output_bytes(run->plan.max_output_bytes());
  intent.set_trace_parent(run->plan.trace_parent());
  return run;
}

void HandlerLauncher::launch(internal::ToLauncher& message) {
  std::vector<RunPtr> accepted;
  std::string records;
  for (internal::LaunchPlan& plan : *message.mutable_launch()) {
    const AttemptId id = to_id(plan.key());
    if (runs_.contains(id)) continue;
    const RunPtr run = make_run(std::move(plan));
    records += make_record(JournalType::kIntent, run->record.intent.SerializeAsString());
    runs_.emplace(id, run);
    accepted.push_back(run);
  }
  const absl::Status written = journal_->append_all(records);
  for (const RunPtr& run : accepted) {
    if (written.ok()) {
      waiting_.push_back(run);
    } else {
      fail_start(run, written);
    }
  }
}

void HandlerLauncher::fail_start(const RunPtr& run, const absl::Status& why) {
  v1::JobEnd failed;
  failed.set_reason(v1::JobEnd::START_FAILED);
  failed.set_message(std::string(why.message()));
  end(run, std::move(failed));
}

void HandlerLauncher::begin_waiting() {
  if (closing_) return;
  while (!begin(take_waiting())) {
  }
}

std::vector<HandlerLauncher::RunPtr> HandlerLauncher::take_waiting() {
  std::vector<RunPtr> taken;
  for (auto at = waiting_.begin(); at != waiting_.end() && running_ < options_.max_running;) {
    const RunPtr run = *at;
    const internal::LaunchPlan& plan = run->plan;
    const uint32_t most = options_.handlers.at(plan.executable()).max_concurrent;
    uint32_t& running = running_by_handler_[plan.executable()];
    if (most > 0 && running >= most) {
      ++at;
      continue;
    }
    at = waiting_.erase(at);
    if (!plan.has_fence_after() || clock_.now().boot < contact_ + from_proto(plan.fence_after())) {
      ++running_;
      ++running;
      taken.push_back(run);
      continue;
    }
    v1::JobEnd fenced;  // another attempt may be on its way
    fenced.set_reason(v1::JobEnd::WORKER_LOST);
    fenced.set_message("never begun: no contact with the scheduler");
    end(run, std::move(fenced));
  }
  return taken;
}

bool HandlerLauncher::begin(const std::vector<RunPtr>& runs) {
  const Now now = clock_.now();
  std::string records;
  for (const RunPtr& run : runs) {
    JournalSpawned spawned;
    spawned.handle = run->handle;
    spawned.pid = getpid();
    spawned.boottime_ns = now.boot.time_since_epoch().count();
    spawned.wall_ns = now.wall.time_since_epoch().count();
    records += make_record(JournalType::kSpawned, view_of(spawned));
    run->record.spawned = spawned;
    run->started_at = now.boot;
    if (run->plan.has_timeout()) {
      run->deadline = std::chrono::steady_clock::now() + from_proto(run->plan.timeout());
    }
  }
  const absl::Status written = journal_->append_all(records);
  internal::FromLauncher news;
  bool is_all = true;
  for (const RunPtr& run : runs) {
    absl::Status begun = written;
    if (begun.ok()) begun = threads_.run([this, run] { run_handler(run); });
    if (!begun.ok()) {
      is_all = false;
      run->record.spawned.reset();
      give_place_back(*run);
      fail_start(run, begun);
      continue;
    }
    run->running = true;
    if (const auto look = next_look_at(*run); look && *look < watch_wakes_at_) wake_.notify_all();
    *news.add_started() = describe(*run);
  }
  if (news.started_size() > 0) observer_.on_message(std::move(news));
  return is_all;
}

void HandlerLauncher::give_place_back(const Run& run) {
  --running_;
  --running_by_handler_[run.plan.executable()];
}

void HandlerLauncher::run_handler(const RunPtr& run) {
  absl::Status result;
  {
    JobContext context(*run);
    const CrashNotes::Scope scope(*crashes_, run->handle);
    // Whatever a handler throws is the end of its job, and of nothing else.
    try {
      result = options_.handlers.at(run->order.spec().handler()).run(context);
    } catch (const std::exception& error) {
      result = absl::UnknownError(std::string("exception: ") + error.what());
    } catch (...) {
      result = absl::UnknownError("exception of an unknown type");
    }
  }
  const std::lock_guard lock(mutex_);
  tell_news(*run, BootTime::max());
  run->running = false;
  give_place_back(*run);
  end(run, make_end(*run, result));
  begin_waiting();
  compact_if_due();
  if (closing_ && running_ == 0) wake_.notify_all();
}

void HandlerLauncher::end(const RunPtr& run, v1::JobEnd end) {
  internal::JournalEnd written;
  written.set_handle(run->handle);
  *written.mutable_end() = std::move(end);
  *written.mutable_time() = to_proto(clock_.now().wall);
  write(JournalType::kEnd, written.SerializeAsString());
  run->record.end = std::move(written);
  internal::FromLauncher news;
  *news.add_ended() = describe(*run);
  observer_.on_message(std::move(news));
}

void HandlerLauncher::ask_to_end(Run& run, JournalState::Ending why,
                                 std::chrono::nanoseconds patience) {
  if (run.ending == JournalState::ENDING_UNSPECIFIED || why == JournalState::FENCE) {
    run.ending = why;
  }
  const BootTime stuck = clock_.now().boot + std::max(patience, kLeastPatience);
  run.stuck_at = run.stuck_at ? std::min(*run.stuck_at, stuck) : stuck;
  // By the watching thread: what a handler has registered runs there, and not under the lock.
  wake_.notify_all();
}

void HandlerLauncher::stop(const v1::AttemptKey& key) {
  const auto found = runs_.find(to_id(key));
  if (found == runs_.end() || found->second->record.end) return;
  const RunPtr run = found->second;
  const auto waits = std::find(waiting_.begin(), waiting_.end(), run);
  if (waits == waiting_.end()) {
    return ask_to_end(*run, JournalState::STOP, from_proto(run->plan.stop_grace()));
  }
  waiting_.erase(waits);
  v1::JobEnd cancelled;
  cancelled.set_reason(v1::JobEnd::CANCELLED_BEFORE_START);
  cancelled.set_message("stopped before it was started");
  end(run, std::move(cancelled));
}

void HandlerLauncher::fence(const v1::AttemptKey& key) {
  const auto found = runs_.find(to_id(key));
  if (found == runs_.end()) return;
  const RunPtr run = found->second;
  const auto waits = std::find(waiting_.begin(), waiting_.end(), run);
  if (waits != waiting_.end()) waiting_.erase(waits);
  if (run->running) return ask_to_end(*run, JournalState::FENCE, fence_patience(*run));
  // Told like an end, to which the answer is to forget it: nobody else hears of it.
  if (!run->record.end) {
    v1::JobEnd never;
    never.set_reason(v1::JobEnd::CANCELLED_BEFORE_START);
    return end(run, std::move(never));
  }
  internal::FromLauncher news;
  *news.add_ended() = describe(*run);
  observer_.on_message(std::move(news));
}

void HandlerLauncher::forget(const internal::ToLauncher& message) {
  std::string records;
  for (const v1::AttemptKey& key : message.forget()) {
    const auto found = runs_.find(to_id(key));
    if (found == runs_.end() || !found->second->record.end) continue;
    records += make_record(JournalType::kForgotten, view_of(found->second->handle));
    ++forgotten_;
    runs_.erase(found);
  }
  note(journal_->append_all(records));
}

void HandlerLauncher::compact_if_due() {
  if (forgotten_ < std::max(kForgottenBeforeCompaction, runs_.size())) return;
  forgotten_ = 0;
  std::string records = journal_->open_record(next_handle_);
  for (const auto& [id, run] : runs_) records += run->record.to_records();
  auto file = Journal::write_beside(options_.data_dir + kJournalFolder, records);
  absl::Status status = file.status();
  if (status.ok()) status = journal_->adopt(*std::move(file));
  if (!status.ok()) log_error("worker", "journal not compacted", {{"error", status}});
}

void HandlerLauncher::watch() {
  std::unique_lock lock(mutex_);
  while (true) {
    look(clock_.now().boot);
    std::vector<std::stop_source> to_stop;
    for (const auto& [id, run] : runs_) {
      if (run->stuck_at && !run->stop.stop_requested()) to_stop.push_back(run->stop);
    }
    if (!to_stop.empty()) {
      lock.unlock();
      for (std::stop_source& stop : to_stop) stop.request_stop();
      lock.lock();
      continue;
    }
    if (closing_ && running_ == 0) return;
    const auto next = next_look();
    watch_wakes_at_ = next.value_or(BootTime::max());
    if (next) {
      wake_.wait_for(lock, std::max(*next - clock_.now().boot, BootTime::duration::zero()));
    } else {
      wake_.wait(lock);
    }
    watch_wakes_at_ = BootTime::min();
  }
}

std::optional<BootTime> HandlerLauncher::next_look() const {
  std::optional<BootTime> next = news_at_;
  if (progress_at_) earlier(next, *progress_at_);
  for (const auto& [id, run] : runs_) {
    if (!run->running) continue;
    if (const auto look = next_look_at(*run)) earlier(next, *look);
  }
  return next;
}

std::optional<BootTime> HandlerLauncher::next_look_at(const Run& run) const {
  std::optional<BootTime> next;
  if (run.stuck_at && *run.stuck_at != BootTime::max()) next = run.stuck_at;
  const bool is_fenced =
      run.ending == JournalState::FENCE || run.ending == JournalState::SELF_FENCE;
  if (run.plan.has_fence_after() && !is_fenced) {
    earlier(next, contact_ + from_proto(run.plan.fence_after()));
  }
  const bool is_asked = run.ending != JournalState::ENDING_UNSPECIFIED;
  if (run.plan.has_timeout() && !is_asked) {
    earlier(next, run.started_at + from_proto(run.plan.timeout()));
  }
  return next;
}

void HandlerLauncher::look(BootTime now) {
  const bool tells = (news_at_ && now >= *news_at_) || (progress_at_ && now >= *progress_at_);
  for (const auto& [id, run] : runs_) {
    if (!run->running) continue;
    if (tells) tell_news(*run, now);
    const internal::LaunchPlan& plan = run->plan;
    const bool is_asked = run->ending != JournalState::ENDING_UNSPECIFIED;
    const bool is_fenced_already =
        run->ending == JournalState::FENCE || run->ending == JournalState::SELF_FENCE;
    if (plan.has_fence_after() && !is_fenced_already &&
        now >= contact_ + from_proto(plan.fence_after())) {
      run->ending = JournalState::ENDING_UNSPECIFIED;
      ask_to_end(*run, JournalState::SELF_FENCE, fence_patience(*run));
    } else if (!is_asked && plan.has_timeout() &&
               now >= run->started_at + from_proto(plan.timeout())) {
      ask_to_end(*run, JournalState::TIMEOUT, from_proto(plan.stop_grace()));
    }
    if (!run->stuck_at || now < *run->stuck_at || !run->stop.stop_requested()) continue;
    run->stuck_at = BootTime::max();
    const bool is_fenced =
        run->ending == JournalState::FENCE || run->ending == JournalState::SELF_FENCE;
    const bool ends_process = is_fenced || options_.ends_stuck_process;
    log_error("worker",
              ends_process ? "a handler does not return; this process ends so that it does"
                           : "a handler does not return although it was asked to",
              {{"job_id", run->order.key().job_id()},
               {"attempt", run->order.key().attempt()},
               {"handler", plan.executable()},
               {"fenced", is_fenced}});
    if (ends_process) _exit(kStuck);
  }
  if (news_at_ && now >= *news_at_) news_at_.reset();
  if (progress_at_ && now >= *progress_at_) progress_at_.reset();
}

void HandlerLauncher::tell_news(Run& run, BootTime now) {
  if (run.output_grew && (!news_at_ || now >= *news_at_)) {
    run.output_grew = false;
    internal::FromLauncher news;
    internal::OutputGrowth& growth = *news.add_growth();
    *growth.mutable_key() = run.order.key();
    *growth.mutable_output() = run.output.extent();
    observer_.on_message(std::move(news));
  }
  if (run.progress && (!progress_at_ || now >= *progress_at_)) {
    on_progress_(run.order.key(), *std::exchange(run.progress, std::nullopt));
  }
}

}  // namespace clusterd
