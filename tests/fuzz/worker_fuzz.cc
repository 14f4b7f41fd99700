#include <cstdlib>

#include "fuzz/fuzz_bytes.h"
#include "worker/worker_decider.h"

// Whatever scheduler and launcher say to a worker, in any order, as long as it is well-formed: it
// goes on, and holds no attempt twice.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace clusterd;
  fuzz::Bytes bytes(data, size);
  WorkerDecider decider([](const v1::AttemptKey& key) { return "/data/" + key.job_id(); });
  Now now{BootTime(std::chrono::hours(1)), WallTime(std::chrono::hours(1000))};
  uint64_t epoch = 1;
  uint64_t session = 1;
  CallId calls = 0;
  std::vector<CheckId> checks;
  const auto anything = [&bytes]<typename Message>(Message message) {
    fuzz::fill(message, bytes);
    return message;
  };
  // Of the present session, or of whatever.
  const auto command = [&](auto message) {
    message = anything(message);
    if (bytes.flag()) {
      message.set_epoch(epoch);
      message.set_session(session);
    }
    return message;
  };
  while (!bytes.empty()) {
    switch (bytes.below(14)) {
      case 0:
        decider.on_launcher_connected(anything(internal::LauncherHello()), now);
        break;
      case 1:
        decider.on_launcher_disconnected();
        break;
      case 2:
      case 3:
        decider.on_launcher_message(anything(internal::FromLauncher()), now);
        break;
      case 4:
        epoch += bytes.below(2);
        (void)decider.on_session_opening(epoch);
        break;
      case 5:
        decider.on_session_opened(epoch, ++session, now);
        break;
      case 6:
        decider.on_session_closed();
        break;
      case 7:
      case 8:
        decider.on_start(++calls, command(v1::StartJobsRequest()), now);
        break;
      case 9:
        decider.on_stop(++calls, command(v1::StopJobsRequest()), now);
        break;
      case 10:
        decider.on_signal(++calls, command(v1::SignalAttemptRequest()), now);
        break;
      case 11:
        decider.on_acknowledged({anything(v1::AttemptKey())}, now);
        break;
      case 12:
        decider.on_fenced({anything(v1::AttemptKey())});
        break;
      default:
        now.boot += std::chrono::seconds(bytes.byte());
        decider.on_tick(now);
    }
    for (const WorkerEffect& effect : decider.take_effects()) {
      if (const auto* check = std::get_if<CheckStart>(&effect)) checks.push_back(check->check);
    }
    if (!checks.empty() && bytes.flag()) {
      const CheckId check = checks.back();
      checks.pop_back();
      if (bytes.flag()) {
        decider.on_checked(check, anything(internal::LaunchPlan()), now);
      } else {
        decider.on_checked(check, absl::InvalidArgumentError("path: no"), now);
      }
    }
    (void)decider.list();
  }
  return 0;
}
