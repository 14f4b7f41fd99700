#include "core/signal_wait.h"

#include <pthread.h>

namespace clusterd {

StopSignals::StopSignals(std::initializer_list<int> more) {
  std::signal(SIGPIPE, SIG_IGN);
  sigemptyset(&set_);
  sigaddset(&set_, SIGTERM);
  sigaddset(&set_, SIGINT);
  for (const int signal : more) sigaddset(&set_, signal);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
}

int StopSignals::wait() const {
  int signal = 0;
  sigwait(&set_, &signal);  // can fail only for a set that is invalid
  return signal;
}

}  // namespace clusterd
