#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <stop_token>
#include <streambuf>
#include <string>
#include <utility>

#include "clusterd/internal/launcher.pb.h"
#include "clusterd/v1/worker_service.pb.h"
#include "clusterd/worker.h"
#include "core/clock.h"
#include "worker/launcher/journal.h"
#include "worker/library/handler_output.h"

namespace clusterd {

// What a run tells the one that began it; any thread.
struct RunObserver {
  std::function<void()> on_output;  // it has grown, or met its limit
  std::function<void(v1::Progress)> on_progress;
};

// One attempt in this process: what its handler sees of it.
//
// Owned by HandlerLauncher, which alone touches the lower part, under its lock; the handler's
// thread has it by JobContext.
class JobContext::Run {
 public:
  Run(v1::StartAttempt order, std::string folder, OutputBounds bounds, RunObserver observer);

  const v1::StartAttempt order;
  HandlerOutput output;
  const RunObserver observer;
  std::stop_source stop;
  std::optional<std::chrono::steady_clock::time_point> deadline;  // before the handler begins

  [[nodiscard]] std::ostream& out() { return stream_; }
  void write(std::string_view bytes);

  // ---- HandlerLauncher's
  internal::LaunchPlan plan;
  uint64_t handle = 0;    // in the journal
  JournalAttempt record;  // what the journal says of it
  bool running = false;
  internal::JournalState::Ending ending = internal::JournalState::ENDING_UNSPECIFIED;
  BootTime started_at;
  std::optional<BootTime> stuck_at;      // with a stop requested: when it should have returned
  bool output_grew = false;              // not told yet
  std::optional<v1::Progress> progress;  // not told yet

 private:
  class Buffer final : public std::streambuf {
   public:
    explicit Buffer(Run& run) : run_(run) {}

   protected:
    std::streamsize xsputn(const char* text, std::streamsize size) override;
    int_type overflow(int_type c) override;

   private:
    Run& run_;
  };

  Buffer buffer_{*this};
  std::ostream stream_{&buffer_};
};

}  // namespace clusterd
