#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "clusterd/internal/launcher.pb.h"
#include "worker/process_launcher.h"

namespace clusterd {

// A launcher without processes: attempts start when they are launched and end when the test says
// so. It keeps the rules of the real one: idempotent on (job, attempt), a stop ends, a fenced
// attempt leaves without a report, an ended one stays until it is forgotten.
//
// One thread. News waits until take_news().
class FakeLauncher final : public ProcessLauncher {
 public:
  void send(internal::ToLauncher message) override;

  // While false, orders are lost and nothing is reported.
  void set_connected(bool connected);
  [[nodiscard]] internal::LauncherHello hello() const;
  [[nodiscard]] internal::FromLauncher take_news();

  // The main process exits; `output` bytes were written.
  void exit(const std::string& job_id, int exit_code, uint64_t output_bytes = 0);
  void grow(const std::string& job_id, uint64_t length);
  void suspend(const std::string& job_id, bool suspended);
  // The journal is gone with everything in it.
  void lose_everything();

  [[nodiscard]] int launches(const std::string& job_id) const;
  [[nodiscard]] bool holds(const std::string& job_id) const;
  [[nodiscard]] const std::vector<internal::SignalOrder>& signals() const { return signals_; }
  [[nodiscard]] uint64_t contact_ns() const { return contact_ns_; }
  [[nodiscard]] int messages() const { return messages_; }

 private:
  using Key = std::pair<std::string, uint32_t>;

  void launch(const internal::LaunchPlan& plan);
  void end(internal::LaunchedAttempt& attempt, const v1::JobEnd& end);
  internal::LaunchedAttempt& newest(const std::string& job_id);

  std::map<Key, internal::LaunchedAttempt> attempts_;
  std::map<std::string, int> launches_;
  std::vector<internal::SignalOrder> signals_;
  internal::FromLauncher news_;
  uint64_t contact_ns_ = 0;
  int messages_ = 0;
  bool connected_ = true;
};

}  // namespace clusterd
