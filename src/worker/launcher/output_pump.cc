#include "worker/launcher/output_pump.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/log.h"

namespace clusterd {
namespace {

constexpr int64_t kGrowthIntervalMs = 2;
constexpr int64_t kRetryMs = 200;
constexpr uint64_t kTailBytes = 4096;

int64_t now_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

uint64_t bytes_in(int fifo) {
  int bytes = 0;
  return ::ioctl(fifo, FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<uint64_t>(bytes) : 0;
}

}  // namespace

OutputPump::OutputPump(std::function<void(OutputNews)> on_news, std::chrono::milliseconds patience)
    : on_news_(std::move(on_news)), patience_(patience), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = orders_.fd()}};
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, orders_.fd(), &event);
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "output");
}

OutputPump::~OutputPump() {
  orders_.push(Stop{});
  thread_.join();
}

void OutputPump::add(uint64_t handle, std::string folder, uint64_t max_bytes,
                     std::vector<OutputPipe> pipes) {
  orders_.push(Add{handle, std::move(folder), max_bytes, std::move(pipes)});
}

void OutputPump::finish(uint64_t handle) { orders_.push(Finish{handle}); }

bool OutputPump::waits_for_room() const { return !stalled_.empty() || !finishing_.empty(); }

int OutputPump::wait_ms() const {
  std::optional<int64_t> until;
  if (!grown_.empty()) until = told_at_ms_ + kGrowthIntervalMs;
  if (waits_for_room()) until = std::min(until.value_or(retry_at_ms_), retry_at_ms_);
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
        move_from(fd);
      }
    }
    if (has_orders && !carry_out_orders()) return;
    if (waits_for_room() && now_ms() >= retry_at_ms_) retry();
    if (!grown_.empty() && now_ms() >= told_at_ms_ + kGrowthIntervalMs) tell_growth();
  }
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
    StreamLog log(order.folder, pipe.stream, order.max_bytes, std::move(pipe.fd));
    if (log.extent().total_bytes() > 0) grown_.insert(fifo);
    streams_.emplace(fifo, Stream{order.handle, std::move(log), std::move(pipe.path)});
    attempts_[order.handle].push_back(fifo);
    epoll_event event{.events = EPOLLIN, .data = {.fd = fifo}};
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fifo, &event);
  }
}

void OutputPump::watch(int fifo, bool on) {
  epoll_event event{.events = on ? EPOLLIN : 0U, .data = {.fd = fifo}};
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fifo, &event);
}

void OutputPump::move_from(int fifo) {
  const auto found = streams_.find(fifo);
  if (found == streams_.end()) return;
  const absl::StatusOr<uint64_t> moved = found->second.log.move_some();
  if (moved.ok()) {
    if (*moved > 0) grown_.insert(fifo);
    if (stalled_.erase(fifo) > 0) watch(fifo, true);
    return;
  }
  if (!stalled_.insert(fifo).second) return;
  log_error("launcher", "output cannot be written; its job waits", {{"error", moved.status()}});
  watch(fifo, false);
}

void OutputPump::retry() {
  for (const int fifo : std::set(stalled_)) move_from(fifo);
  for (const auto& [handle, give_up_at_ms] : std::map(finishing_)) (void)try_to_finish(handle);
  retry_at_ms_ = now_ms() + kRetryMs;
}

void OutputPump::begin_to_finish(uint64_t handle) {
  for (const int fifo : attempts_[handle]) {
    // What is there now is the job's; a process that escaped may go on writing for ever.
    streams_.at(fifo).left = bytes_in(fifo);
    // The worker has this open file too: closing alone would leave it in the epoll set.
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fifo, nullptr);
    stalled_.erase(fifo);
  }
  finishing_[handle] = now_ms() + patience_.count();
  const absl::Status status = try_to_finish(handle);
  if (status.ok()) return;
  log_error("launcher", "the rest of an output cannot be written; its end waits",
            {{"error", status}});
}

absl::Status OutputPump::try_to_finish(uint64_t handle) {
  OutputFinished finished;
  finished.handle = handle;
  absl::Status status;
  for (const int fifo : attempts_.at(handle)) {
    const absl::Status taken = take_rest(fifo);
    if (taken.ok()) continue;
    finished.lost_bytes += streams_.at(fifo).left;
    finished.lost_because = std::string(taken.message());
    status = taken;
  }
  if (!status.ok() && now_ms() < finishing_.at(handle)) return status;
  for (const int fifo : attempts_.at(handle)) {
    const StreamLog& log = streams_.at(fifo).log;
    const v1::OutputStream extent = log.extent();
    if (extent.total_bytes() > 0) finished.tail = log.tail(kTailBytes);
    finished.outputs.push_back(extent);
    close(fifo);
  }
  attempts_.erase(handle);
  finishing_.erase(handle);
  on_news_(std::move(finished));
  return status;
}

absl::Status OutputPump::take_rest(int fifo) {
  Stream& stream = streams_.at(fifo);
  while (stream.left > 0) {
    const absl::StatusOr<uint64_t> moved = stream.log.move_some();
    if (!moved.ok()) return moved.status();
    if (*moved > 0) grown_.insert(fifo);
    stream.left -= *moved == 0 ? stream.left : std::min(stream.left, *moved);
  }
  return absl::OkStatus();
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
}

}  // namespace clusterd
