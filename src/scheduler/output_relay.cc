#include "scheduler/output_relay.h"

#include <grpcpp/support/client_callback.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/field_error.h"
#include "rpc/grpc_status.h"

namespace clusterd {
namespace {

// Which streams a job has, and whether the request names one of them.
absl::Status check_stream(const v1::StreamJobRequest& request, const v1::JobSpec& spec) {
  const bool separate = spec.output().mode() == v1::OutputSpec::SEPARATE;
  const auto stream = request.stream();
  if (separate && stream != v1::OutputStream::STDOUT && stream != v1::OutputStream::STDERR) {
    return invalid_field("stream", "the job keeps two streams: stdout or stderr is needed");
  }
  if (!separate && stream != v1::OutputStream::STREAM_UNSPECIFIED &&
      stream != v1::OutputStream::MERGED) {
    return invalid_field("stream", "the job keeps one stream: leave it out, or say merged");
  }
  return absl::OkStatus();
}

}  // namespace

// The call to the worker. Deletes itself in OnDone.
class OutputRelay::Upstream final : public grpc::ClientReadReactor<v1::StreamJobResponse> {
 public:
  Upstream(OutputRelay& relay, std::shared_ptr<WorkerLink> link, v1::StreamAttemptRequest request)
      : relay_(relay),
        link_(std::move(link)),
        request_(std::move(request)),
        context_(grpc::ClientContext::FromCallbackServerContext(*relay.context_)) {
    link_->stream_output(context_.get(), &request_, this);
    AddHold();  // reads are started from the relay's OnWriteDone
    read();
    StartCall();
  }

  void read() { StartRead(&message_); }

  void OnReadDone(bool ok) override {
    if (ok) return relay_.received(message_, *this);
    RemoveHold();  // last: OnDone may delete this
  }

  void OnDone(const grpc::Status& status) override {
    OutputRelay& relay = relay_;
    const absl::Status ended = from_grpc(status);
    delete this;
    relay.upstream_done(ended);
  }

 private:
  OutputRelay& relay_;
  std::shared_ptr<WorkerLink> link_;  // shared with the term's table
  v1::StreamAttemptRequest request_;
  std::unique_ptr<grpc::ClientContext> context_;
  v1::StreamJobResponse message_;
};

OutputRelay::OutputRelay(SchedulerApp& app, AccessControl& access,
                         grpc::CallbackServerContext* context, const v1::StreamJobRequest& request)
    : app_(app),
      admitted_(access, *context, "/clusterd.v1.SchedulerService/StreamJob"),
      context_(context),
      request_(request) {
  locate();
}

void OutputRelay::ask(Term::Decide decide, Term::Done done) {
  const CallId id = app_.next_id();
  question_ = id;
  app_.call(id, std::move(done),
            [this, decide = std::move(decide)](Scheduler& scheduler, CallId call, Now now) mutable {
              if (!cancelled_) return decide(scheduler, call, now);
              Decision gone;  // the reader left before the question had its id
              gone.effects.emplace_back(Reply{call, absl::CancelledError("the reader is gone")});
              return gone;
            });
}

void OutputRelay::OnCancel() {
  cancelled_ = true;
  app_.abandon(question_);
}

void OutputRelay::locate() {
  OutputQuery query{.request = request_, .resuming = resuming_, .session = location_.session};
  ask([query = std::move(query)](Scheduler& scheduler, CallId call,
                                 Now now) { return scheduler.locate_output(call, query, now); },
      [this](absl::StatusOr<Answer> answer) { located(std::move(answer)); });
}

void OutputRelay::located(absl::StatusOr<Answer> answer) {
  if (!answer.ok()) return finish(answer.status());
  location_ = std::get<OutputLocation>(*std::move(answer));
  const absl::Status status = check_stream(request_, location_.job.spec());
  if (!status.ok()) return finish(status);
  request_.set_attempt(location_.attempt);  // a follow stays with the attempt it began with
  if (location_.worker_id.empty()) return answer_empty();
  app_.with_term([this](Term* term) {
    const auto link = term == nullptr ? nullptr : term->link_of(location_.worker_id);
    if (link == nullptr) return finish(absl::UnavailableError("the worker cannot be reached now"));
    open_upstream(link);
  });
}

void OutputRelay::answer_empty() {
  if (request_.offset() > 0) {
    return finish(absl::OutOfRangeError(
        absl::StrCat("offset: ", request_.offset(), ", the output has 0 bytes")));
  }
  if (next_offset_ > 0) {  // the reader has bytes of it: this is no end that it could trust
    return finish(absl::UnavailableError("the rest of the output is out of reach"));
  }
  v1::OutputEnd end;
  end.set_complete(is_final(location_.job.state()));
  end_ = end;
  if (started_) {
    return finish_with_end({location_.job.state(), location_.job.attempt() > location_.attempt});
  }
  started_ = true;
  v1::OutputStart& start = *outgoing_.mutable_start();
  start.set_attempt(location_.attempt);
  start.set_stream(request_.stream() == v1::OutputStream::STREAM_UNSPECIFIED
                       ? v1::OutputStream::MERGED
                       : request_.stream());
  StartWrite(&outgoing_);  // OnWriteDone goes on with the end
}

void OutputRelay::open_upstream(const std::shared_ptr<WorkerLink>& link) {
  v1::StreamAttemptRequest request;
  request.mutable_key()->set_job_id(location_.job.job_id());
  request.mutable_key()->set_attempt(location_.attempt);
  request.set_stream(request_.stream());
  request.set_offset(started_ ? next_offset_ : request_.offset());
  request.set_follow(request_.follow());
  if (!started_) request.set_tail_lines(request_.tail_lines());
  if (request_.max_bytes() > 0) {
    request.set_max_bytes(request_.max_bytes() - (next_offset_ - first_offset_));
  }
  new Upstream(*this, link, std::move(request));
}

void OutputRelay::received(v1::StreamJobResponse& message, Upstream& upstream) {
  if (message.has_end()) {
    end_ = message.end();
    upstream.read();  // the worker's status follows
    return;
  }
  if (message.has_start()) {
    const uint64_t offset = message.start().offset();
    if (started_ && offset <= next_offset_) {  // resumed: the reader knows
      upstream.read();
      return;
    }
    started_ = true;
    first_offset_ = next_offset_ = offset;
    message.mutable_start()->set_attempt(location_.attempt);
  } else {
    next_offset_ = message.frame().offset() + message.frame().data().size();
    app_.metrics().relayed_bytes.add(message.frame().data().size());
  }
  outgoing_.Swap(&message);
  reading_ = &upstream;
  StartWrite(&outgoing_);
}

void OutputRelay::OnWriteDone(bool ok) {
  if (ending_) return finish(absl::OkStatus());
  Upstream* const upstream = std::exchange(reading_, nullptr);
  if (upstream != nullptr) {
    // After a failed write the reader is gone, which cancels the call to the worker: reading on
    // is how its end is learnt.
    upstream->read();
  } else if (ok) {
    finish_with_end({location_.job.state(), location_.job.attempt() > location_.attempt});
  } else {
    finish(absl::CancelledError("the reader is gone"));
  }
}

void OutputRelay::upstream_done(const absl::Status& status) {
  if (status.ok() && end_) {
    if (!end_->complete()) return finish_with_end({location_.job.state(), false});
    v1::AttemptKey key;
    key.set_job_id(location_.job.job_id());
    key.set_attempt(location_.attempt);
    ask([key](Scheduler& scheduler, CallId call,
              Now now) { return scheduler.outcome_of(call, key, now); },
        [this](absl::StatusOr<Answer> answer) {
          if (!answer.ok()) return finish(answer.status());
          finish_with_end(std::get<AttemptOutcome>(*answer));
        });
    return;
  }
  const uint64_t sent = next_offset_ - first_offset_;
  if (absl::IsUnavailable(status) && request_.max_bytes() > 0 && sent >= request_.max_bytes()) {
    end_.emplace().set_total_bytes(next_offset_);
    return finish_with_end({location_.job.state(), false});
  }
  if (absl::IsUnavailable(status) && request_.follow() && !cancelled_) {
    resuming_ = true;
    locate();
    return;
  }
  if (absl::IsNotFound(status) && !asked_again_) {
    // An attempt that ended without output and was acknowledged meanwhile has left no trace there.
    asked_again_ = true;
    return locate();
  }
  if (absl::IsNotFound(status) && is_final(location_.job.state())) {
    return finish(absl::FailedPreconditionError("the output of job " + location_.job.job_id() +
                                                " has been deleted"));
  }
  finish(status.ok() ? absl::UnavailableError("the worker's stream was cut") : status);
}

void OutputRelay::finish_with_end(const AttemptOutcome& outcome) {
  outgoing_.Clear();
  v1::OutputEnd& end = *outgoing_.mutable_end();
  end = *end_;
  end.set_job_state(outcome.job_state);
  end.set_another_attempt(outcome.another_attempt);
  ending_ = true;
  StartWrite(&outgoing_);  // not StartWriteAndFinish: in-process, gRPC 1.51 loses its completion
}

void OutputRelay::finish(const absl::Status& status) { Finish(to_grpc(status)); }

}  // namespace clusterd
