#include "worker/launcher/control_loop.h"

#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>
#include <utility>
#include <vector>

#include "core/log.h"

namespace clusterd {
namespace {

constexpr std::chrono::seconds kAloneBeforeExit{10};
constexpr uint32_t kProtocolVersion = 1;
// In a burst news go together: a message costs more than most that is in it. The first ones of an
// interval go at once, so somebody who starts one job after another does not wait; and so do
// descriptors: with a pidfd the worker learns a status whoever reaps the job.
constexpr std::chrono::milliseconds kNewsInterval{2};

// How long a turn of a burst waits for more of it.
constexpr std::chrono::milliseconds kBurstTurn{1};

// Signals of a container that are for its worker.
constexpr std::array<int, 6> kPassedOn = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

UniqueFd open_signals(bool passes_on) {
  sigset_t set;
  (void)::sigemptyset(&set);
  (void)::sigaddset(&set, SIGCHLD);
  if (passes_on) {
    for (const int signal : kPassedOn) (void)::sigaddset(&set, signal);
  }
  return UniqueFd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

std::optional<ucred> credentials_of(int peer) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  return credentials;
}

bool is_trusted(int peer) {
  const std::optional<ucred> credentials = credentials_of(peer);
  return credentials && (credentials->uid == ::geteuid() || credentials->uid == 0);
}

pid_t process_of(int peer) {
  const std::optional<ucred> credentials = credentials_of(peer);
  return credentials ? credentials->pid : 0;
}

}  // namespace

ControlLoop::ControlLoop(SupervisorOptions options, Journal journal, JournalContent content,
                         UniqueFd listener, Inherited inherited, CompanionOptions companion,
                         const Clock& clock)
    : clock_(clock),
      listener_(std::move(listener)),
      child_signal_(open_signals(!companion.config_file.empty())),
      timer_(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC)),
      alone_since_(clock.now().boot),
      companion_(std::move(companion)),
      baseline_(options.baseline),
      supervisor_(std::move(options), std::move(journal), clock, poller_,
                  [this](SupervisorEvent event) { mailbox_.push(std::move(event)); }) {
  poller_.add(listener_.get(), PollKind::kListener);
  poller_.add(mailbox_.fd(), PollKind::kMailbox);
  poller_.add(child_signal_.get(), PollKind::kChildSignal);
  poller_.add(timer_.get(), PollKind::kTimer);
  const pid_t worker = inherited.message().companion();
  supervisor_.take_up(std::move(content), std::move(inherited));
  if (worker > 0) on_companion_started({worker});
}

int ControlLoop::run(const Replace& replace) {
  std::array<epoll_event, 128> events;
  while (!is_done()) {
    start_companion_if_due();
    set_timer();
    gather();
    const int count = ::epoll_wait(poller_.fd(), events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) handle(events[static_cast<size_t>(i)]);
    supervisor_.on_tick();
    tell_news();
    replace_if_due(replace);
  }
  return companion_.exit_code();
}

void ControlLoop::gather() {
  const BootTime now = clock_.now().boot;
  burst_.note(supervisor_.take_changes(), now);
  if (burst_.is_on(now)) {
    const auto left = std::chrono::nanoseconds(turn_began_ + kBurstTurn - now).count();
    const timespec wait{.tv_sec = 0, .tv_nsec = left};
    if (left > 0) (void)::clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, nullptr);
  }
  turn_began_ = clock_.now().boot;
}

void ControlLoop::start_companion_if_due() {
  const std::optional<BootTime> due = companion_.start_due();
  if (!due || clock_.now().boot < *due) return;
  supervisor_.run([this, start = companion_.begin_start(baseline_)] { mailbox_.push(start()); });
}

void ControlLoop::on_companion_started(const CompanionStarted& started) {
  companion_.on_started(started, clock_.now().boot);
  if (companion_.pid() == 0) return;
  supervisor_.keep_child(companion_.pid());
  poller_.add(companion_.pidfd(), PollKind::kCompanion);
}

void ControlLoop::on_companion_ended() {
  const pid_t pid = companion_.pid();
  int status = 0;
  if (pid == 0 || ::waitpid(pid, &status, WNOHANG) != pid) return;
  poller_.remove(companion_.pidfd());
  supervisor_.drop_child(pid);
  companion_.on_ended(status, supervisor_.holds_job(), clock_.now().boot);
  if (companion_.is_over()) supervisor_.stop_all();
}

void ControlLoop::on_signals() {
  std::array<signalfd_siginfo, 8> signals;  // each kind waits once; more would bring us here again
  const ssize_t bytes = ::read(child_signal_.get(), signals.data(), sizeof(signals));
  for (ssize_t i = 0; (i + 1) * static_cast<ssize_t>(sizeof(signals[0])) <= bytes; ++i) {
    const auto number = static_cast<int>(signals[static_cast<size_t>(i)].ssi_signo);
    if (number == SIGCHLD) continue;
    companion_.on_signal(number);
    if (companion_.is_over()) supervisor_.stop_all();
  }
  supervisor_.on_child_signal();
}

void ControlLoop::replace_if_due(const Replace& replace) {
  const std::optional<std::string> executable = supervisor_.upgrade_due();
  if (!executable || leaving_) return;
  if (worker_ >= 0) {
    internal::FromLauncher last;
    last.set_replaces_itself(true);
    peers_.at(worker_).socket->queue(last);
    flush(worker_);
  }
  KeptDescriptors kept;
  internal::Inheritance inheritance = supervisor_.bequeath(&kept);
  kept.keep(listener_.get());
  inheritance.set_companion(companion_.pid());
  inheritance.set_listener(listener_.get());
  const absl::Status status = replace(*executable, std::move(inheritance));
  supervisor_.on_upgrade_failed(status);
}

void ControlLoop::handle(const epoll_event& event) {
  const uint64_t number = Poller::number_of(event);
  switch (Poller::kind_of(event)) {
    case PollKind::kListener:
      accept_peers();
      return;
    case PollKind::kPeer:
      if (peers_.contains(static_cast<int>(number))) on_peer(static_cast<int>(number));
      return;
    case PollKind::kMailbox:
      for (SupervisorEvent& news : mailbox_.take()) {
        if (const auto* started = std::get_if<CompanionStarted>(&news)) {
          on_companion_started(*started);
        } else {
          supervisor_.on_event(std::move(news));
        }
      }
      return;
    case PollKind::kChildSignal:
      on_signals();
      return;
    case PollKind::kCompanion:
      on_companion_ended();
      return;
    case PollKind::kTimer: {
      uint64_t expirations = 0;
      (void)!::read(timer_.get(), &expirations, sizeof(expirations));
      timer_is_for_.reset();
      return;
    }
    case PollKind::kMainProcess:
      supervisor_.on_main_process(number);
      return;
    case PollKind::kTreeMember:
      supervisor_.on_tree_member(number);
      return;
    case PollKind::kFirstOutput:
      supervisor_.on_first_output(number);
      return;
    case PollKind::kArchive:
      supervisor_.on_archive_process(number);
      return;
  }
}

void ControlLoop::accept_peers() {
  while (true) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) return;
    if (!is_trusted(fd.get())) {
      log_warning("launcher", "a connection of another user was refused");
      continue;
    }
    const int number = fd.get();
    poller_.add(number, PollKind::kPeer, static_cast<uint64_t>(number));
    peers_[number].socket = std::make_unique<FrameSocket>(std::move(fd));
  }
}

void ControlLoop::on_peer(int fd) {
  FrameSocket& socket = *peers_.at(fd).socket;
  const absl::Status received = socket.receive();
  while (const std::optional<std::string_view> frame = socket.next_frame()) {
    internal::ToLauncher message;
    const bool is_good = message.ParseFromArray(frame->data(), static_cast<int>(frame->size()));
    if (!is_good || !on_message(fd, std::move(message))) {
      log_warning("launcher", "a connection was closed: it does not speak this protocol");
      drop_peer(fd);
      return;
    }
  }
  if (!received.ok()) {
    drop_peer(fd);
  } else {
    flush(fd);
  }
}

bool ControlLoop::on_message(int fd, internal::ToLauncher message) {
  FrameSocket& socket = *peers_.at(fd).socket;
  auto descriptors = socket.take_descriptors(static_cast<size_t>(message.descriptors_size()));
  if (message.has_hello()) {
    if (message.hello().protocol_version() != kProtocolVersion) return false;
    leaving_ = false;
    companion_.on_greeted();
    supervisor_.on_orders(std::move(message), std::move(descriptors));
    if (worker_ != fd) greet(fd);
    return true;
  }
  // Before its hello a worker passes what does not fit beside it.
  if (worker_ != fd && message.descriptors_size() == 0) return false;
  if (message.leave()) {
    leaving_ = true;
    companion_.on_leave();
  }
  if (message.has_upgrade()) supervisor_.upgrade(message.upgrade().executable());
  supervisor_.on_orders(std::move(message), std::move(descriptors));
  return true;
}

void ControlLoop::greet(int fd) {
  if (worker_ >= 0) {
    internal::FromLauncher last;
    last.set_superseded(true);
    FrameSocket& older = *peers_.at(worker_).socket;
    older.queue(last);
    (void)older.flush();
    drop_peer(worker_);
  }
  worker_ = fd;
  internal::FromLauncher first;
  *first.mutable_hello() = supervisor_.hello(process_of(fd));
  std::vector<int> descriptors;
  const UniqueFd channel = supervisor_.open_pipe_channel();
  if (channel.valid()) {
    first.add_descriptors()->set_kind(internal::PassedDescriptor::PIPE_CHANNEL);
    descriptors.push_back(channel.get());
  }
  peers_.at(fd).socket->queue(first, descriptors);
}

void ControlLoop::drop_peer(int fd) {
  poller_.remove(fd);
  peers_.erase(fd);
  if (worker_ != fd) return;
  worker_ = -1;
  supervisor_.close_pipe_channel();
  alone_since_ = clock_.now().boot;
}

void ControlLoop::tell_news() {
  news_due_.reset();
  if (worker_ < 0) return;
  FrameSocket& socket = *peers_.at(worker_).socket;
  if (supervisor_.has_news()) {
    const BootTime now = clock_.now().boot;
    const BootTime due = told_at_.front() + kNewsInterval;
    if (now < due && !supervisor_.has_descriptors_to_pass()) {
      news_due_ = due;
      return;
    }
    std::rotate(told_at_.begin(), told_at_.begin() + 1, told_at_.end());
    told_at_.back() = now;
  }
  // While the worker does not read, news are merged in the supervisor and not queued here.
  while (!socket.has_unsent()) {
    const std::optional<News> news = supervisor_.take_news();
    if (!news) break;
    socket.queue(news->message, news->descriptors);
    if (!socket.flush().ok()) break;
  }
  flush(worker_);
}

void ControlLoop::flush(int fd) {
  Peer& peer = peers_.at(fd);
  if (!peer.socket->flush().ok()) {
    drop_peer(fd);
    return;
  }
  if (peer.wants_write == peer.socket->has_unsent()) return;
  peer.wants_write = peer.socket->has_unsent();
  poller_.want_write(fd, peer.wants_write, PollKind::kPeer, static_cast<uint64_t>(fd));
}

void ControlLoop::set_timer() {
  std::optional<BootTime> deadline = supervisor_.next_deadline();
  if (const auto due = companion_.start_due()) deadline = std::min(deadline.value_or(*due), *due);
  if (worker_ < 0 && !supervisor_.holds_job() && !companion_.is_wanted()) {
    const BootTime exit_at = alone_since_ + kAloneBeforeExit;
    if (!deadline || exit_at < *deadline) deadline = exit_at;
  }
  if (news_due_) deadline = std::min(deadline.value_or(*news_due_), *news_due_);
  if (deadline == timer_is_for_) return;
  timer_is_for_ = deadline;
  itimerspec timer{};
  if (deadline) {
    const auto since_boot = std::max(deadline->time_since_epoch(), BootClock::duration(1));
    timer.it_value.tv_sec = since_boot.count() / 1'000'000'000;
    timer.it_value.tv_nsec = since_boot.count() % 1'000'000'000;
  }
  (void)::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &timer, nullptr);
}

bool ControlLoop::is_done() {
  if (supervisor_.holds_job()) {
    if (worker_ < 0) alone_since_ = clock_.now().boot;
    return false;
  }
  if (companion_.is_wanted()) return companion_.is_over();
  if (leaving_) return true;
  return worker_ < 0 && clock_.now().boot >= alone_since_ + kAloneBeforeExit;
}

}  // namespace clusterd
