#include "worker/launcher/spawn_watch.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>

#include "core/log.h"
#include "worker/process_info.h"

namespace clusterd {
namespace {

// As the number stays the child's while its spawn thread waits for it, nobody else is meant.
void wake(pid_t child) {
  const auto stat = read_process_stat(child);
  if (!stat || stat->parent != ::getpid() || (stat->state != 'T' && stat->state != 't')) return;
  log_warning("launcher", "a job was stopped by its own user before it had started; it goes on");
  (void)::kill(child, SIGCONT);
}

}  // namespace

SpawnWatch::Spawning::Spawning(SpawnWatch& watch) : watch_(watch) {
  const std::lock_guard lock(watch_.mutex_);
  watch_.spawnings_.insert(this);
  if (watch_.is_asleep_) watch_.changed_.notify_all();
}

SpawnWatch::Spawning::~Spawning() {
  const std::lock_guard lock(watch_.mutex_);
  watch_.spawnings_.erase(this);
}

SpawnWatch::SpawnWatch(Clock::duration patience)
    : patience_(patience), thread_([this] { work(); }) {
  pthread_setname_np(thread_.native_handle(), "spawn-watch");
}

SpawnWatch::~SpawnWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void SpawnWatch::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    is_asleep_ = true;
    changed_.wait(lock, [this] { return stopping_ || !spawnings_.empty(); });
    is_asleep_ = false;  // for a while spawns come and go without waking it
    (void)changed_.wait_for(lock, patience_, [this] { return stopping_; });
    const Clock::time_point long_ago = Clock::now() - patience_;
    for (const Spawning* spawning : spawnings_) {
      const pid_t child = spawning->child_;
      if (spawning->since_ <= long_ago && child != 0) wake(child);
    }
  }
}

}  // namespace clusterd
