#include "worker/launcher_connection.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "clusterd/version.h"
#include "core/log.h"
#include "worker/executable_file.h"
#include "worker/frame_socket.h"
#include "worker/job_processes.h"
#include "worker/launcher/mailbox.h"
#include "worker/launcher_process.h"
#include "worker/process_info.h"

namespace clusterd {
namespace {

constexpr std::chrono::milliseconds kFirstBackoff{20};
constexpr std::chrono::milliseconds kLongestBackoff{2000};
constexpr int kLastFlushMs = 1000;

struct Stop {};
using Item = std::variant<internal::ToLauncher, Stop>;

}  // namespace

// The connection's thread and all that it owns.
class LauncherConnection::Runner {
 public:
  Runner(LauncherOptions options, const Clock& clock, LauncherObserver observer,
         Inherited inherited)
      : options_(std::move(options)),
        clock_(clock),
        observer_(std::move(observer)),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        processes_(epoll_.get()) {
    log_.set_level(options_.log.level);
    log_.set_format(options_.log.format);
    watch(mailbox_.fd(), EPOLL_CTL_ADD, EPOLLIN);
    take_up(inherited);
  }
  ~Runner() { stop(); }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  absl::Status start() {
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
      return absl::InternalError(absl::StrCat("subreaper: ", std::strerror(errno)));
    }
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "launcher-conn");
    return absl::OkStatus();
  }

  void push(internal::ToLauncher message) { mailbox_.push(std::move(message)); }

  void stop() {
    mailbox_.push(Stop{});
    if (thread_.joinable()) thread_.join();
  }

  // After stop().
  void bequeath(KeptDescriptors* kept, internal::Inheritance* inheritance) const {
    processes_.bequeath(kept, inheritance);
    inheritance->set_open_files_soft(options_.open_files);
    if (launcher_.pid > 0) inheritance->set_companion(launcher_.pid);
  }

 private:
  enum class State {
    kDown,        // tries again at retry_at_
    kStarting,    // a launcher was started and is not ready yet
    kGreeting,    // hello was sent
    kConnected,   // hello was answered
    kSuperseded,  // a newer worker serves this folder; final
    kLeft,        // took leave; final
  };

  void run();
  void take_up(Inherited& inherited);
  void sweep();
  void watch(int fd, int operation, uint32_t events);
  [[nodiscard]] int wait_ms() const;
  [[nodiscard]] bool on_mailbox();
  void on_event(int fd);
  void try_to_connect();
  void greet(UniqueFd socket);
  void fail(const absl::Status& status);
  void on_ready();
  void on_launcher_exit();
  void on_socket();
  void on_message(internal::FromLauncher message);
  void upgrade_if_other(const internal::LauncherHello& hello);
  // FIFOs of attempts that are being started. They are as safe in the channel as they are here, and
  // are taken when the launcher says what became of an attempt, or ends.
  void open_pipe_channel(const internal::FromLauncher& hello, std::vector<UniqueFd> descriptors);
  void take_early_fifos();
  void close_socket();
  void disconnect(const absl::Status& status);
  void send(const internal::ToLauncher& message);
  void flush();
  void tell_reaped();

  const LauncherOptions options_;
  const Clock& clock_;
  LauncherObserver observer_;
  Mailbox<Item> mailbox_;
  UniqueFd epoll_;
  JobProcesses processes_;
  State state_ = State::kDown;
  std::unique_ptr<FrameSocket> socket_;
  std::unique_ptr<FrameSocket> pipe_channel_;  // null: the launcher has made none
  bool waits_to_write_ = false;
  bool knows_all_ = false;       // each job's process is one that a living launcher has told of
  LauncherProcess launcher_;     // where this process has started it
  bool waits_for_exit_ = false;  // of launcher_, before another one can be started
  BootTime retry_at_{};
  BootTime sweep_at_{};
  std::chrono::milliseconds backoff_ = kFirstBackoff;
  uint64_t contact_ns_ = 0;
  internal::LogSettings log_;
  bool leaving_ = false;
  bool replaces_itself_ = false;  // the launcher: the connection ends, its process does not
  std::thread thread_;
};

void LauncherConnection::Runner::watch(int fd, int operation, uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  (void)::epoll_ctl(epoll_.get(), operation, fd, &event);
}

void LauncherConnection::Runner::take_up(Inherited& inherited) {
  processes_.inherit(inherited);
  const pid_t launcher = inherited.message().companion();
  const auto stat = launcher > 0 ? read_process_stat(launcher) : std::nullopt;
  if (!stat || stat->parent != ::getpid()) return;
  launcher_.pid = launcher;
  launcher_.pidfd = open_pidfd(launcher);
  watch(launcher_.pidfd.get(), EPOLL_CTL_ADD, EPOLLIN);
}

void LauncherConnection::Runner::sweep() {
  processes_.sweep(std::max(launcher_.pid, 0), knows_all_);
  sweep_at_ = clock_.now().boot + processes_.sweep_interval().value_or(kLongestBackoff);
}

int LauncherConnection::Runner::wait_ms() const {
  std::optional<BootTime> until;
  if (state_ == State::kDown) until = retry_at_;
  if (processes_.sweep_interval()) until = until ? std::min(*until, sweep_at_) : sweep_at_;
  if (!until) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - clock_.now().boot);
  return static_cast<int>(std::max<int64_t>(left.count(), 0));
}

void LauncherConnection::Runner::run() {
  std::array<epoll_event, 64> events;
  while (true) {
    if (state_ == State::kDown && clock_.now().boot >= retry_at_) try_to_connect();
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), wait_ms());
    bool has_orders = false;
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == mailbox_.fd()) {
        has_orders = true;
      } else {
        on_event(fd);
      }
    }
    if (processes_.sweep_interval() && clock_.now().boot >= sweep_at_) sweep();
    tell_reaped();
    if (has_orders && !on_mailbox()) return;
    flush();
  }
}

void LauncherConnection::Runner::on_event(int fd) {
  if (socket_ != nullptr && fd == socket_->fd()) {
    on_socket();
  } else if (fd == launcher_.ready.get()) {
    on_ready();
  } else if (fd == launcher_.pidfd.get()) {
    on_launcher_exit();
  } else if (!processes_.on_readable(fd)) {
    watch(fd, EPOLL_CTL_DEL, 0);
  }
}

bool LauncherConnection::Runner::on_mailbox() {
  for (Item& item : mailbox_.take()) {
    if (std::holds_alternative<Stop>(item)) {
      flush();
      if (socket_ != nullptr && socket_->has_unsent()) {
        pollfd writable{socket_->fd(), POLLOUT, 0};
        (void)::poll(&writable, 1, kLastFlushMs);
        flush();
      }
      return false;
    }
    const auto& message = std::get<internal::ToLauncher>(item);
    contact_ns_ = std::max(contact_ns_, message.contact_boottime_ns());
    leaving_ = leaving_ || message.leave();
    if (message.has_log()) log_ = message.log();
    if (state_ == State::kConnected) send(message);
  }
  return true;
}

void LauncherConnection::Runner::fail(const absl::Status& status) {
  log_warning("worker", "no launcher yet", {{"error", status}});
  state_ = State::kDown;
  retry_at_ = clock_.now().boot + backoff_;
  backoff_ = std::min(backoff_ * 2, kLongestBackoff);
}

void LauncherConnection::Runner::try_to_connect() {
  absl::StatusOr<UniqueFd> socket = connect_to_launcher(options_);
  if (socket.ok()) {
    greet(*std::move(socket));
    return;
  }
  if (!absl::IsUnavailable(socket.status())) {
    fail(socket.status());
    return;
  }
  if (launcher_.pid > 0) {  // ours is ending: its end brings us here again
    retry_at_ = clock_.now().boot + kLongestBackoff;
    waits_for_exit_ = true;
    return;
  }
  absl::StatusOr<LauncherProcess> started = start_launcher(options_);
  if (!started.ok()) {
    fail(started.status());
    return;
  }
  launcher_ = *std::move(started);
  watch(launcher_.pidfd.get(), EPOLL_CTL_ADD, EPOLLIN);
  watch(launcher_.ready.get(), EPOLL_CTL_ADD, EPOLLIN);
  state_ = State::kStarting;
}

void LauncherConnection::Runner::on_ready() {
  char byte = 0;
  const bool is_ready = ::read(launcher_.ready.get(), &byte, 1) == 1;
  launcher_.ready.reset();
  if (state_ != State::kStarting) return;
  if (is_ready) {
    state_ = State::kDown;
    retry_at_ = clock_.now().boot;
  } else {
    fail(absl::UnavailableError("the launcher did not start; see launcher.log in its folder"));
  }
}

void LauncherConnection::Runner::on_launcher_exit() {
  (void)::waitpid(launcher_.pid, nullptr, WNOHANG);
  watch(launcher_.pidfd.get(), EPOLL_CTL_DEL, 0);
  launcher_ = LauncherProcess{};
  // Its children are ours now, also jobs that it had no time to tell of: the next one asks for
  // their statuses. The end of the connection may not have been seen yet.
  knows_all_ = false;
  sweep();
  if (state_ == State::kStarting) {
    fail(absl::UnavailableError("the launcher did not start; see launcher.log in its folder"));
  } else if (state_ == State::kDown && std::exchange(waits_for_exit_, false)) {
    retry_at_ = clock_.now().boot;
  }
}

void LauncherConnection::Runner::greet(UniqueFd socket) {
  socket_ = std::make_unique<FrameSocket>(std::move(socket));
  waits_to_write_ = false;
  watch(socket_->fd(), EPOLL_CTL_ADD, EPOLLIN);
  state_ = State::kGreeting;
  sweep();
  (void)processes_.take_reaped();  // they are in what follows
  std::vector<JobProcesses::Part> parts = processes_.describe_all();
  std::rotate(parts.begin(), parts.begin() + 1, parts.end());  // the statuses go with the hello
  internal::ToLauncher& last = parts.back().message;
  last.mutable_hello()->set_protocol_version(1);
  last.mutable_hello()->set_version(version());
  last.mutable_hello()->set_scratch_dir(options_.scratch_dir);
  *last.mutable_log() = log_;
  last.set_contact_boottime_ns(contact_ns_);
  for (const JobProcesses::Part& part : parts) socket_->queue(part.message, part.descriptors);
  flush();
}

void LauncherConnection::Runner::send(const internal::ToLauncher& message) {
  socket_->queue(message);
}

void LauncherConnection::Runner::tell_reaped() {
  if (state_ != State::kConnected) return;
  internal::ToLauncher message;
  for (internal::ReapedChild& child : processes_.take_reaped()) {
    *message.add_reaped() = std::move(child);
  }
  if (message.reaped_size() > 0) send(message);
}

void LauncherConnection::Runner::flush() {
  if (socket_ == nullptr) return;
  const absl::Status status = socket_->flush();
  if (absl::IsDataLoss(status)) return disconnect(status);
  if (!status.ok()) return;  // reading shows the end, after what came before it
  if (waits_to_write_ == socket_->has_unsent()) return;
  waits_to_write_ = socket_->has_unsent();
  watch(socket_->fd(), EPOLL_CTL_MOD, waits_to_write_ ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void LauncherConnection::Runner::on_socket() {
  absl::Status status = socket_->receive();
  take_early_fifos();  // what came before
  while (socket_ != nullptr) {
    const std::optional<std::string_view> frame = socket_->next_frame();
    if (!frame) break;
    internal::FromLauncher message;
    if (!message.ParseFromArray(frame->data(), static_cast<int>(frame->size()))) {
      status = absl::DataLossError("the launcher does not speak this protocol");
      break;
    }
    on_message(std::move(message));
  }
  if (!status.ok() && socket_ != nullptr) disconnect(status);
}

void LauncherConnection::Runner::open_pipe_channel(const internal::FromLauncher& hello,
                                                   std::vector<UniqueFd> descriptors) {
  pipe_channel_.reset();
  const bool has_one = hello.descriptors_size() == 1 && descriptors.size() == 1 &&
                       hello.descriptors(0).kind() == internal::PassedDescriptor::PIPE_CHANNEL;
  if (!has_one) return;  // an earlier version, or it has no descriptors left
  pipe_channel_ = std::make_unique<FrameSocket>(std::move(descriptors[0]));
}

void LauncherConnection::Runner::take_early_fifos() {
  if (pipe_channel_ == nullptr) return;
  const absl::Status status = pipe_channel_->receive();
  while (const std::optional<std::string_view> frame = pipe_channel_->next_frame()) {
    internal::FromLauncher message;
    if (!message.ParseFromArray(frame->data(), static_cast<int>(frame->size()))) break;
    const auto count = static_cast<size_t>(message.descriptors_size());
    processes_.on_early_fifos(message, pipe_channel_->take_descriptors(count));
  }
  if (!status.ok()) pipe_channel_.reset();
}

void LauncherConnection::Runner::on_message(internal::FromLauncher message) {
  auto descriptors = socket_->take_descriptors(static_cast<size_t>(message.descriptors_size()));
  if (message.superseded()) {
    close_socket();
    state_ = State::kSuperseded;
    observer_.on_disconnected(
        absl::FailedPreconditionError("another worker process has taken over this data_dir"));
    return;
  }
  if (message.replaces_itself()) replaces_itself_ = true;
  if (!message.upgrade_refused().empty()) {
    log_warning("worker", "the launcher goes on as another version",
                {{"error", message.upgrade_refused()}});
    message.clear_upgrade_refused();
  }
  if (message.has_hello()) {
    processes_.on_hello(message.hello());
    open_pipe_channel(message, std::move(descriptors));
    knows_all_ = true;
    state_ = State::kConnected;
    backoff_ = kFirstBackoff;
    upgrade_if_other(message.hello());
    observer_.on_connected(std::move(*message.mutable_hello()));
    return;
  }
  for (const internal::LaunchedAttempt& attempt : message.started()) processes_.on_started(attempt);
  processes_.on_descriptors(message, std::move(descriptors));
  for (const internal::LaunchedAttempt& attempt : message.ended()) {
    processes_.on_ended(attempt.key());
  }
  message.clear_descriptors();
  if (message.ByteSizeLong() > 0) observer_.on_message(std::move(message));
}

void LauncherConnection::Runner::upgrade_if_other(const internal::LauncherHello& hello) {
  const std::string& its_id = hello.executable_id();
  if (its_id.empty() || its_id == executable_id(kOwnExecutable)) return;
  if (its_id == executable_id(options_.executable)) return;  // newer than this process
  log_info("worker", "the launcher runs another executable, and is told to become this one",
           {{"its_version", hello.version()}, {"executable", options_.executable}});
  internal::ToLauncher message;
  message.mutable_upgrade()->set_executable(options_.executable);
  send(message);
}

void LauncherConnection::Runner::close_socket() {
  watch(socket_->fd(), EPOLL_CTL_DEL, 0);
  socket_.reset();
  knows_all_ = false;
  take_early_fifos();  // it may be the launcher that has ended
  pipe_channel_.reset();
}

void LauncherConnection::Runner::disconnect(const absl::Status& status) {
  const bool was_connected = state_ == State::kConnected;
  close_socket();
  state_ = leaving_ ? State::kLeft : State::kDown;
  // What could not be read once, for want of descriptors, is not likely to be at once.
  const bool again_at_once = !absl::IsDataLoss(status);
  retry_at_ = clock_.now().boot + (again_at_once ? kLongestBackoff.zero() : kLongestBackoff);
  if (!was_connected && !leaving_) fail(status);
  if (!std::exchange(replaces_itself_, false)) processes_.on_launcher_lost();
  if (was_connected) observer_.on_disconnected(status);
}

LauncherConnection::LauncherConnection(LauncherOptions options, const Clock& clock,
                                       LauncherObserver observer, Inherited inherited)
    : runner_(std::make_unique<Runner>(std::move(options), clock, std::move(observer),
                                       std::move(inherited))) {}

LauncherConnection::~LauncherConnection() = default;

absl::Status LauncherConnection::start() { return runner_->start(); }

void LauncherConnection::bequeath(KeptDescriptors* kept, internal::Inheritance* inheritance) {
  runner_->stop();
  runner_->bequeath(kept, inheritance);
}

void LauncherConnection::send(internal::ToLauncher message) { runner_->push(std::move(message)); }

}  // namespace clusterd
