#include "worker/launcher/output_pump.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "core/log.h"

namespace clusterd {
namespace {

constexpr int64_t kGrowthIntervalMs = 2;
constexpr int kStallRetryMs = 200;
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

void OutputPump::add(uint64_t handle, std::string folder, uint64_t max_bytes,
                     std::vector<OutputPipe> pipes) {
  orders_.push(Add{handle, std::move(folder), max_bytes, std::move(pipes)});
}

void OutputPump::finish(uint64_t handle) { orders_.push(Finish{handle}); }

int OutputPump::wait_ms() const {
  if (!grown_.empty()) {
    return static_cast<int>(std::max<int64_t>(told_at_ms_ + kGrowthIntervalMs - now_ms(), 0));
  }
  return stalled_.empty() ? -1 : kStallRetryMs;
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
    if (count == 0) retry_stalled();
    if (!grown_.empty() && now_ms() >= told_at_ms_ + kGrowthIntervalMs) tell_growth();
  }
}

bool OutputPump::carry_out_orders() {
  for (Order& order : orders_.take()) {
    if (std::holds_alternative<Stop>(order)) return false;
    if (auto* add = std::get_if<Add>(&order)) add_streams(std::move(*add));
    if (const auto* finish = std::get_if<Finish>(&order)) on_news_(finish_streams(finish->handle));
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

void OutputPump::move_from(int fifo) {
  const auto found = streams_.find(fifo);
  if (found == streams_.end()) return;
  const absl::StatusOr<uint64_t> moved = found->second.log.move_some();
  if (moved.ok()) {
    if (*moved > 0) grown_.insert(fifo);
    return;
  }
  // A full disk: the job waits at its pipe until there is room again.
  log_error("launcher", "output cannot be written; its job waits", {{"error", moved.status()}});
  stalled_.insert(fifo);
  epoll_event event{.events = 0, .data = {.fd = fifo}};
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fifo, &event);
}

void OutputPump::retry_stalled() {
  for (const int fifo : std::exchange(stalled_, {})) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fifo}};
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fifo, &event);
    move_from(fifo);
  }
}

OutputFinished OutputPump::finish_streams(uint64_t handle) {
  OutputFinished finished;
  finished.handle = handle;
  const auto found = attempts_.find(handle);
  if (found == attempts_.end()) return finished;
  for (const int fifo : found->second) {
    StreamLog& log = streams_.at(fifo).log;
    // What is there now is the job's; a process that escaped may go on writing for ever.
    uint64_t left = bytes_in(fifo);
    while (left > 0) {
      const absl::StatusOr<uint64_t> moved = log.move_some();
      if (!moved.ok()) {
        finished.lost_bytes += left;
        finished.lost_because = std::string(moved.status().message());
      }
      if (!moved.ok() || *moved == 0) break;
      left -= std::min(left, *moved);
    }
    const v1::OutputStream extent = log.extent();
    if (extent.total_bytes() > 0) finished.tail = log.tail(kTailBytes);
    finished.outputs.push_back(extent);
    grown_.erase(fifo);
    stalled_.erase(fifo);
    (void)::unlink(streams_.at(fifo).path.c_str());
    // The worker has this open file too: closing alone would leave it in the epoll set.
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fifo, nullptr);
    streams_.erase(fifo);
  }
  attempts_.erase(found);
  return finished;
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
