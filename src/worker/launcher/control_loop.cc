#include "worker/launcher/control_loop.h"

#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <array>
#include <csignal>
#include <vector>

#include "core/log.h"

namespace clusterd {
namespace {

constexpr std::chrono::seconds kAloneBeforeExit{10};
constexpr uint32_t kProtocolVersion = 1;

UniqueFd open_child_signal() {
  sigset_t set;
  (void)::sigemptyset(&set);
  (void)::sigaddset(&set, SIGCHLD);
  return UniqueFd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

bool is_trusted(int peer) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return false;
  return credentials.uid == ::geteuid() || credentials.uid == 0;
}

}  // namespace

ControlLoop::ControlLoop(SupervisorOptions options, Journal journal, JournalContent content,
                         UniqueFd listener, const Clock& clock)
    : clock_(clock),
      listener_(std::move(listener)),
      child_signal_(open_child_signal()),
      timer_(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC)),
      alone_since_(clock.now().boot),
      supervisor_(std::move(options), std::move(journal), clock, poller_,
                  [this](SupervisorEvent event) { mailbox_.push(std::move(event)); }) {
  poller_.add(listener_.get(), PollKind::kListener);
  poller_.add(mailbox_.fd(), PollKind::kMailbox);
  poller_.add(child_signal_.get(), PollKind::kChildSignal);
  poller_.add(timer_.get(), PollKind::kTimer);
  supervisor_.take_up(std::move(content));
}

void ControlLoop::run() {
  std::array<epoll_event, 128> events;
  while (!is_done()) {
    set_timer();
    const int count = ::epoll_wait(poller_.fd(), events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) handle(events[static_cast<size_t>(i)]);
    supervisor_.on_tick();
    tell_news();
  }
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
      for (SupervisorEvent& news : mailbox_.take()) supervisor_.on_event(std::move(news));
      return;
    case PollKind::kChildSignal: {
      signalfd_siginfo info;
      while (::read(child_signal_.get(), &info, sizeof(info)) == sizeof(info)) {
      }
      supervisor_.on_child_signal();
      return;
    }
    case PollKind::kTimer: {
      uint64_t expirations = 0;
      (void)!::read(timer_.get(), &expirations, sizeof(expirations));
      return;
    }
    case PollKind::kMainProcess:
      supervisor_.on_main_process(number);
      return;
    case PollKind::kTreeMember:
      supervisor_.on_tree_member(number);
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
    supervisor_.on_orders(message, std::move(descriptors));
    if (worker_ != fd) greet(fd);
    return true;
  }
  // Before its hello a worker passes what does not fit beside it.
  if (worker_ != fd && message.descriptors_size() == 0) return false;
  if (message.leave()) leaving_ = true;
  supervisor_.on_orders(message, std::move(descriptors));
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
  *first.mutable_hello() = supervisor_.hello();
  peers_.at(fd).socket->queue(first);
}

void ControlLoop::drop_peer(int fd) {
  poller_.remove(fd);
  peers_.erase(fd);
  if (worker_ != fd) return;
  worker_ = -1;
  alone_since_ = clock_.now().boot;
}

void ControlLoop::tell_news() {
  if (worker_ < 0) return;
  FrameSocket& socket = *peers_.at(worker_).socket;
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
  if (worker_ < 0 && !supervisor_.holds_job()) {
    const BootTime exit_at = alone_since_ + kAloneBeforeExit;
    if (!deadline || exit_at < *deadline) deadline = exit_at;
  }
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
  if (leaving_) return true;
  return worker_ < 0 && clock_.now().boot >= alone_since_ + kAloneBeforeExit;
}

}  // namespace clusterd
