#include "worker/launcher/output_pump.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/log.h"

namespace clusterd {
namespace {

constexpr int64_t kGrowthIntervalMs = 2;
constexpr int64_t kRetryMs = 200;
// A stream that is written all the time is not watched but looked at so often: each of its writes
// would wake this thread, or at least look for it. A pipe takes 1 MiB meanwhile.
constexpr int64_t kBusyLookMs = 1;
// Two moves within this make it busy.
constexpr int64_t kBusyGapMs = 2;
// With so much at a look the pipe may be full before the next one: such a stream is watched.
constexpr uint64_t kMuchBytes = 256 << 10;
constexpr int64_t kLookAtSpaceMs = 1000;
constexpr uint64_t kTailBytes = 4096;

int64_t now_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace

uint64_t bytes_in_pipe(int fifo) {
  int bytes = 0;
  return ::ioctl(fifo, FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<uint64_t>(bytes) : 0;
}

OutputPump::OutputPump(std::function<void(OutputNews)> on_news)
    : on_news_(std::move(on_news)), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = orders_.fd()}};
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, orders_.fd(), &event);
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "output");
}

OutputPump::~OutputPump() {
  orders_.push(Stop{});
  thread_.join();
}

void OutputPump::add(uint64_t handle, std::string folder, OutputBounds bounds,
                     std::vector<OutputPipe> pipes) {
  orders_.push(Add{handle, std::move(folder), bounds, std::move(pipes)});
}

void OutputPump::finish(uint64_t handle) { orders_.push(Finish{handle}); }

bool OutputPump::waits_for_room() const { return !stalled_.empty() || !finishing_.empty(); }

int OutputPump::wait_ms() const {
  std::optional<int64_t> until;
  if (!grown_.empty()) until = told_at_ms_ + kGrowthIntervalMs;
  if (waits_for_room()) until = std::min(until.value_or(retry_at_ms_), retry_at_ms_);
  if (!busy_.empty()) until = std::min(until.value_or(look_at_busy_ms_), look_at_busy_ms_);
  if (!streams_.empty()) until = std::min(until.value_or(look_at_space_ms_), look_at_space_ms_);
  if (!until) return -1;
  return static_cast<int>(std::max<int64_t>(*until - now_ms(), 0));
}

void OutputPump::run() {
  std::array<epoll_event, 64> events;
  while (true) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), wait_ms());
    bool has_orders = false;
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == orders_.fd()) {
        has_orders = true;
      } else {
        on_readable(fd);
      }
    }
    if (!busy_.empty() && now_ms() >= look_at_busy_ms_) look_at_busy();
    if (has_orders && !carry_out_orders()) return;
    if (waits_for_room() && now_ms() >= retry_at_ms_) retry();
    if (!streams_.empty() && now_ms() >= look_at_space_ms_) look_at_space();
    if (!grown_.empty() && now_ms() >= told_at_ms_ + kGrowthIntervalMs) tell_growth();
  }
}

void OutputPump::on_readable(int fifo) {
  const auto found = streams_.find(fifo);
  if (found == streams_.end()) return;
  const uint64_t moved = move_from(fifo);
  if (moved == 0 || moved >= kMuchBytes) return;
  const int64_t now = now_ms();
  if (std::exchange(found->second.moved_at_ms, now) + kBusyGapMs < now) return;
  unwatch(fifo);
  if (busy_.empty()) look_at_busy_ms_ = now + kBusyLookMs;
  busy_.insert(fifo);
}

void OutputPump::look_at_busy() {
  for (const int fifo : std::set(busy_)) {
    const uint64_t moved = move_from(fifo);
    if ((moved == 0 || moved >= kMuchBytes) && busy_.erase(fifo) > 0) watch(fifo);
  }
  look_at_busy_ms_ = now_ms() + kBusyLookMs;
}

bool OutputPump::carry_out_orders() {
  for (Order& order : orders_.take()) {
    if (std::holds_alternative<Stop>(order)) return false;
    if (auto* add = std::get_if<Add>(&order)) add_streams(std::move(*add));
    if (const auto* finish = std::get_if<Finish>(&order)) begin_to_finish(finish->handle);
  }
  return true;
}

void OutputPump::add_streams(Add order) {
  for (OutputPipe& pipe : order.pipes) {
    const int fifo = pipe.fd.get();
    StreamLog log(order.folder, pipe.stream, order.bounds, std::move(pipe.fd));
    if (log.extent().total_bytes() > 0) grown_.insert(fifo);
    streams_.emplace(fifo, Stream{order.handle, std::move(log), std::move(pipe.path)});
    attempts_[order.handle].push_back(fifo);
    watch(fifo);
  }
}

void OutputPump::watch(int fifo) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fifo}};
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fifo, &event);
}

// Needed before a close, too: the worker has this open file, which would stay in the epoll set.
void OutputPump::unwatch(int fifo) {
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fifo, nullptr);
}

uint64_t OutputPump::move_from(int fifo) {
  const std::optional<uint64_t> taken = take_some(fifo);
  if (taken) {
    if (stalled_.erase(fifo) > 0) watch(fifo);
  } else if (stalled_.insert(fifo).second && busy_.erase(fifo) == 0) {
    unwatch(fifo);
  }
  return taken.value_or(0);
}

std::optional<uint64_t> OutputPump::take_some(int fifo) {
  Stream& stream = streams_.at(fifo);
  if (stream.is_dropped) return stream.log.drop_some();
  if (stream.give_up_at_ms != 0 && now_ms() < stream.try_again_at_ms) return skip_some(fifo);
  const absl::StatusOr<uint64_t> moved = stream.log.move_some();
  if (moved.ok()) {
    stream.give_up_at_ms = 0;
    if (*moved > 0) grown_.insert(fifo);
    note_given_up(stream, "the disk is full");
    return *moved;
  }
  if (!absl::IsResourceExhausted(moved.status())) return on_unwritable(fifo, moved.status());
  meet_limit(stream, moved.status());
  return stream.log.drop_some();
}

std::optional<uint64_t> OutputPump::on_unwritable(int fifo, const absl::Status& why) {
  Stream& stream = streams_.at(fifo);
  if (stream.give_up_at_ms == 0) {
    stream.give_up_at_ms = now_ms() + stream.log.bounds().patience.count();
    log_error("launcher", "output cannot be written; its job waits", {{"error", why}});
  }
  if (now_ms() < stream.give_up_at_ms) return std::nullopt;
  if (stream.log.bounds().stops) {
    meet_limit(stream, absl::ResourceExhaustedError(
                           absl::StrCat("its output could not be written, and its policy is to "
                                        "stop: ",
                                        why.message())));
    return stream.log.drop_some();
  }
  stream.try_again_at_ms = now_ms() + kRetryMs;
  stream.unwritable_because = std::string(why.message());
  return skip_some(fifo);
}

uint64_t OutputPump::skip_some(int fifo) {
  Stream& stream = streams_.at(fifo);
  const uint64_t skipped = stream.log.skip_some();
  if (skipped > 0) grown_.insert(fifo);
  note_given_up(stream, stream.unwritable_because);
  return skipped;
}

void OutputPump::note_given_up(Stream& stream, const std::string& because) {
  const uint64_t bytes = stream.log.take_given_up();
  if (bytes == 0) return;
  losses_[stream.handle].bytes += bytes;
  losses_[stream.handle].because = because;
}

void OutputPump::meet_limit(Stream& stream, const absl::Status& limit) {
  stream.is_dropped = true;
  on_news_(OutputLimitMet{stream.handle, std::string(limit.message())});
}

void OutputPump::retry() {
  for (const int fifo : std::set(stalled_)) (void)move_from(fifo);
  for (const uint64_t handle : std::set(finishing_)) (void)try_to_finish(handle);
  retry_at_ms_ = now_ms() + kRetryMs;
}

void OutputPump::look_at_space() {
  for (auto& [fifo, stream] : streams_) {
    if (stream.log.needs_reserve()) stream.log.take_reserve();
  }
  look_at_space_ms_ = now_ms() + kLookAtSpaceMs;
}

void OutputPump::begin_to_finish(uint64_t handle) {
  for (const int fifo : attempts_[handle]) {
    // What is there now is the job's; a process that escaped may go on writing for ever.
    streams_.at(fifo).left = bytes_in_pipe(fifo);
    unwatch(fifo);
    stalled_.erase(fifo);
    busy_.erase(fifo);
  }
  finishing_.insert(handle);
  (void)try_to_finish(handle);
}

bool OutputPump::try_to_finish(uint64_t handle) {
  bool is_whole = true;
  for (const int fifo : attempts_.at(handle)) is_whole = take_rest(fifo) && is_whole;
  if (!is_whole) return false;
  OutputFinished finished;
  finished.handle = handle;
  tell_losses();
  for (const int fifo : attempts_.at(handle)) {
    const StreamLog& log = streams_.at(fifo).log;
    const v1::OutputStream extent = log.extent();
    if (extent.total_bytes() > 0) finished.tail = log.tail(kTailBytes);
    finished.outputs.push_back(extent);
    close(fifo);
  }
  attempts_.erase(handle);
  finishing_.erase(handle);
  losses_.erase(handle);
  on_news_(std::move(finished));
  return true;
}

bool OutputPump::take_rest(int fifo) {
  Stream& stream = streams_.at(fifo);
  while (stream.left > 0) {
    const std::optional<uint64_t> taken = take_some(fifo);
    if (!taken) return false;
    stream.left -= *taken == 0 ? stream.left : std::min(stream.left, *taken);
  }
  return true;
}

void OutputPump::close(int fifo) {
  grown_.erase(fifo);
  (void)::unlink(streams_.at(fifo).path.c_str());
  streams_.erase(fifo);
}

void OutputPump::tell_growth() {
  OutputGrown grown;
  for (const int fifo : std::exchange(grown_, {})) {
    const Stream& stream = streams_.at(fifo);
    grown.items.push_back({stream.handle, stream.log.extent()});
  }
  told_at_ms_ = now_ms();
  on_news_(std::move(grown));
  tell_losses();
}

void OutputPump::tell_losses() {
  for (auto& [handle, losses] : losses_) {
    if (losses.bytes == losses.told) continue;
    losses.told = losses.bytes;
    on_news_(OutputLost{handle, losses.bytes, losses.because});
  }
}

}  // namespace clusterd
