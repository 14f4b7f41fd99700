#pragma once

#include <sys/epoll.h>

#include <cstdint>

#include "worker/unique_fd.h"

namespace clusterd {

// What a descriptor of the control loop is.
enum class PollKind : uint8_t {
  kListener = 1,
  kPeer,
  kMailbox,
  kChildSignal,
  kTimer,
  kCompanion,
  kMainProcess,  // number: the attempt's handle
  kTreeMember,   // number: the attempt's handle
  kArchive,      // number: the attempt's handle
  kFirstOutput,  // number: the attempt's handle
};

// epoll(7) for the control loop, level-triggered. Owned by it; its thread only.
class Poller {
 public:
  Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

  void add(int fd, PollKind kind, uint64_t number = 0) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = tag(kind, number)}};
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  }
  void want_write(int fd, bool on, PollKind kind, uint64_t number) {
    const uint32_t events = on ? EPOLLIN | EPOLLOUT : EPOLLIN;
    epoll_event event{.events = events, .data = {.u64 = tag(kind, number)}};
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
  }
  void remove(int fd) { (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

  [[nodiscard]] int fd() const { return epoll_.get(); }
  [[nodiscard]] static PollKind kind_of(const epoll_event& event) {
    return static_cast<PollKind>(event.data.u64 >> 56);
  }
  [[nodiscard]] static uint64_t number_of(const epoll_event& event) {
    return event.data.u64 & ((1ULL << 56) - 1);
  }

 private:
  static uint64_t tag(PollKind kind, uint64_t number) {
    return (static_cast<uint64_t>(kind) << 56) | number;
  }

  UniqueFd epoll_;
};

}  // namespace clusterd
