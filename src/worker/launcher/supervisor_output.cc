#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "clusterd/job_states.h"
#include "core/proto_time.h"
#include "core/utf8.h"
#include "worker/launcher/job_end.h"
#include "worker/launcher/supervisor.h"
#include "worker/output_log.h"

namespace clusterd {

// Many jobs write nothing: the output thread is not troubled with them.
void Supervisor::wait_for_output(Attempt& attempt, std::vector<OutputPipe> pipes) {
  for (const OutputPipe& pipe : pipes) {
    attempt.fifos.emplace_back(pipe.stream, pipe.fd.get());
    poller_.add(pipe.fd.get(), PollKind::kFirstOutput, attempt.handle());
  }
  attempt.silent = std::move(pipes);
}

void Supervisor::on_first_output(uint64_t handle) {
  Attempt* attempt = find(handle);
  if (attempt != nullptr && !attempt->silent.empty()) carry_output(*attempt, take_silent(*attempt));
}

std::vector<OutputPipe> Supervisor::take_silent(Attempt& attempt) {
  // The worker has these open files too: closing alone would leave them in the epoll set.
  for (const OutputPipe& pipe : attempt.silent) poller_.remove(pipe.fd.get());
  return std::exchange(attempt.silent, {});
}

void Supervisor::finish_output(Attempt& attempt) {
  std::vector<OutputPipe> pipes = take_silent(attempt);
  const bool is_silent =
      !pipes.empty() && std::all_of(pipes.begin(), pipes.end(), [](const OutputPipe& pipe) {
        return bytes_in_pipe(pipe.fd.get()) == 0;
      });
  if (is_silent) {
    for (const OutputPipe& pipe : pipes) (void)::unlink(pipe.path.c_str());
    finished_silent_.push_back({.handle = attempt.handle(), .outputs = {}, .tail = ""});
    return;
  }
  if (!pipes.empty()) carry_output(attempt, std::move(pipes));
  pump_->finish(attempt.handle());
}

void Supervisor::carry_output(Attempt& attempt, std::vector<OutputPipe> pipes) {
  const internal::JournalIntent& intent = attempt.record.intent;
  OutputBounds bounds{.max_bytes = intent.max_output_bytes(),
                      .stops = intent.on_output_limit() == v1::OutputSpec::STOP};
  if (intent.has_full_disk_wait()) {
    bounds.patience =
        std::chrono::duration_cast<std::chrono::milliseconds>(from_proto(intent.full_disk_wait()));
  }
  pump_->add(attempt.handle(), output_folder(options_.data_dir, attempt.key()), bounds,
             std::move(pipes));
}

void Supervisor::on_output_news(OutputNews news) {
  if (const auto* finished = std::get_if<OutputFinished>(&news)) {
    on_output_finished(*finished);
  } else if (const auto* grown = std::get_if<OutputGrown>(&news)) {
    on_output_grown(*grown);
  } else if (const auto* lost = std::get_if<OutputLost>(&news)) {
    on_output_lost(*lost);
  } else {
    on_output_limit(std::get<OutputLimitMet>(news));
  }
}

void Supervisor::on_output_grown(const OutputGrown& grown) {
  for (const OutputGrown::Item& item : grown.items) {
    Attempt* attempt = find(item.handle);
    if (attempt == nullptr || attempt->phase == Attempt::Phase::kEnded) continue;
    for (size_t i = 0; i < attempt->outputs.size(); ++i) {
      if (attempt->outputs[i].stream() != item.output.stream()) continue;
      attempt->outputs[i] = item.output;
      news_growth_.insert({item.handle, i});
    }
  }
}

void Supervisor::on_output_lost(const OutputLost& lost) {
  Attempt* attempt = find(lost.handle);
  if (attempt == nullptr || attempt->phase == Attempt::Phase::kEnded) return;
  internal::JournalState& state = attempt->record.state;
  const bool is_first = state.lost_because().empty();
  state.set_lost_bytes(attempt->lost_before + lost.bytes);
  state.set_lost_because(to_valid_utf8(lost.because));
  if (is_first) write_state(*attempt);  // the number at the end is in its record
}

void Supervisor::on_output_limit(const OutputLimitMet& met) {
  Attempt* attempt = find(met.handle);
  if (attempt == nullptr || attempt->phase == Attempt::Phase::kEnded) return;
  internal::JournalState& state = attempt->record.state;
  if (!state.output_limit().empty()) return;
  state.set_output_limit(to_valid_utf8(met.limit));
  if (attempt->phase == Attempt::Phase::kRunning && !attempt->is_being_ended()) {
    begin_ending(*attempt, internal::JournalState::OUTPUT_LIMIT);
  }
  write_state(*attempt);
}

void Supervisor::on_output_finished(const OutputFinished& finished) {
  Attempt* attempt = find(finished.handle);
  if (attempt == nullptr || attempt->phase != Attempt::Phase::kDraining) return;
  --draining_;
  std::optional<CgroupUsage> usage;
  if (attempt->cgroup != nullptr) usage = attempt->cgroup->usage();
  v1::JobEnd end = make_job_end(attempt->record, usage);
  for (const v1::OutputStream& known : attempt->outputs) {
    const auto final = std::find_if(
        finished.outputs.begin(), finished.outputs.end(),
        [&known](const v1::OutputStream& output) { return output.stream() == known.stream(); });
    *end.add_outputs() = final == finished.outputs.end() ? known : *final;
  }
  if (state_of(end) != v1::Job::SUCCEEDED) end.set_output_tail(readable_tail(finished.tail));
  attempt->outputs.assign(end.outputs().begin(), end.outputs().end());
  finish(*attempt, std::move(end));
}

}  // namespace clusterd
