#include "cli/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "cli/exit_codes.h"

namespace clusterd {
namespace {

int open_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return signalfd(-1, &set, SFD_CLOEXEC);
}

}  // namespace

Interrupt::Interrupt(size_t stages)
    : stages_(stages),
      signals_(open_signals()),
      ending_(eventfd(0, EFD_CLOEXEC)),
      thread_([this] { watch(); }) {}

Interrupt::~Interrupt() {
  eventfd_write(ending_, 1);
  thread_.join();
  close(ending_);
  close(signals_);
}

std::stop_token Interrupt::token(size_t stage) const {
  return stage < stages_.size() ? stages_[stage].get_token() : std::stop_token();
}

void Interrupt::watch() {
  size_t stage = 0;
  std::array<pollfd, 2> files = {{{signals_, POLLIN, 0}, {ending_, POLLIN, 0}}};
  while (true) {
    if (poll(files.data(), files.size(), -1) < 0 && errno != EINTR) return;
    if (files[1].revents != 0) return;
    signalfd_siginfo signal{};
    if ((files[0].revents & POLLIN) == 0 || read(signals_, &signal, sizeof signal) < 0) continue;
    if (stage == stages_.size()) _exit(kExitInterrupted);
    stages_[stage++].request_stop();
  }
}

}  // namespace clusterd
