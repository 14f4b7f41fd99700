#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "cli/caller_session.h"
#include "client/output_assembler.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// A job that a command stays with until it ends, over attempts and over restarts of scheduler and
// worker. Owned by the command; its thread.
class AttachedJob {
 public:
  // What Ctrl-C does.
  enum class OnInterrupt {
    kDetach,  // ends the command; the job goes on
    kStop,    // stops the job and stays; the second time kills it. The session has two stages.
  };

  // `session` and `flags`, by which it was opened, outlive this. `job` is as it was accepted.
  AttachedJob(CallerSession& session, const ClientFlags& flags, v1::Job job,
              OnInterrupt on_interrupt);

  // Prints its output, standard error apart where the job keeps it apart. The command's exit code.
  [[nodiscard]] int follow();
  // Waits for its end and prints how it was. The command's exit code.
  [[nodiscard]] int wait(bool as_json, bool with_progress = false);

 private:
  using Read = std::function<absl::Status(OutputAssembler& output)>;

  absl::Status follow_tasks();
  absl::Status follow_both();
  absl::Status follow_attempts(v1::OutputStream::Stream stream, const Read& read) const;
  // Runs `call(token)` until it succeeds or fails by itself, and acts on interrupts in between.
  template <typename Call>
  auto through_interrupts(Call call);
  void on_interrupt();
  [[nodiscard]] bool is_detached() const;
  [[nodiscard]] int detached() const;

  CallerSession& session_;
  const ClientFlags& flags_;
  const v1::Job job_;
  const OnInterrupt on_interrupt_;
  size_t stage_ = 0;
  uint64_t position_ = 0;  // of standard output, in its newest attempt
};

}  // namespace clusterd
