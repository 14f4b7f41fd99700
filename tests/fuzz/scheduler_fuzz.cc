#include <cstdlib>

#include "clusterd/job_states.h"
#include "core/job_spec_check.h"
#include "fuzz/fuzz_bytes.h"
#include "scheduler/look_up.h"
#include "scheduler/scheduler.h"
#include "support/memory_store.h"

// Whatever callers and workers say to a scheduler, in any order, as long as it is well-formed and
// as far as its services let it through; and whatever its store held before. It answers each call
// once.
namespace {

using namespace clusterd;

class World {
 public:
  explicit World(fuzz::Bytes& bytes) : bytes_(bytes), store_(100) {
    StoreContents contents = *store_.begin_term();
    // Records of an earlier time.
    for (size_t n = bytes_.below(4); n > 0; --n) {
      v1::Job job = anything(v1::Job());
      if (job.job_id().empty() || is_final(job.state())) continue;
      if (!is_accepted(job.spec())) continue;
      contents.live_jobs.push_back(std::move(job));
    }
    scheduler_.emplace(config_, std::move(contents), now_);
    apply(scheduler_->begin(now_));
  }

  void step() {
    switch (bytes_.below(16)) {
      case 0:
      case 1:
      case 2:
        return submit();
      case 3:
        return apply(scheduler_->stop(call(), anything(v1::StopJobRequest()), "me", {}, now_));
      case 4:
        return apply(scheduler_->retry(call(), anything(v1::RetryJobRequest()), {}, now_));
      case 5:
        return apply(scheduler_->erase(call(), anything(v1::DeleteJobRequest()), {}, now_));
      case 6:
        return register_worker();
      case 7:
        return apply(
            scheduler_->session_hello(++streams_, anything(v1::SessionHello()), "digest", now_));
      case 8:
      case 9:
        return apply(scheduler_->session_message(streams_, anything(v1::SessionRequest()), now_));
      case 10:
        return apply(scheduler_->session_closed(bytes_.below(4), now_));
      case 11:
        return apply(scheduler_->drain(call(), anything(v1::DrainWorkerRequest()), {}, now_));
      case 12:
        return apply(scheduler_->explain(call(), anything(v1::ExplainJobRequest())));
      case 13:
        return apply(scheduler_->start_answered("w", bytes_.below(4), {anything(v1::AttemptKey())},
                                                anything(v1::StartJobsResponse()), now_));
      case 14:
        return apply(scheduler_->set_queue(call(), anything(v1::SetQueueRequest()), {}, now_));
      default:
        now_.boot += std::chrono::seconds(bytes_.byte());
        now_.wall += std::chrono::seconds(bytes_.byte());
        return apply(scheduler_->tick(now_));
    }
  }

 private:
  template <typename Message>
  Message anything(Message message) {
    fuzz::fill(message, bytes_);
    return message;
  }

  // Of what is never accepted there is no record either: those that are damaged are set aside.
  bool is_accepted(const v1::JobSpec& spec) const {
    return check_job_spec(spec, ScriptPlace::kAnywhere).ok() &&
           check_job_sizes(spec, config_.scheduling).ok();
  }

  CallId call() {
    open_.insert(++calls_);
    return calls_;
  }

  void submit() {
    SubmitOrder order;
    order.job_id = "job-" + std::to_string(++jobs_);
    order.spec = anything(v1::JobSpec());
    if (order.spec.path().empty()) order.spec.set_path("job.sh");
    if (!is_accepted(order.spec)) return;
    apply(scheduler_->submit(call(), std::move(order), now_));
  }

  void register_worker() {
    RegisterOrder order;
    order.request = anything(v1::RegisterWorkerRequest());
    order.request.set_name("w");
    order.presented_sha256 = "digest";
    order.fresh_worker_id = "w";
    order.fresh_sha256 = "digest";
    apply(scheduler_->register_worker(call(), order, now_));
  }

  void apply(Decision decision) {
    if (!decision.persist.empty()) {
      if (!store_.commit({&decision.persist, 1}).ok()) std::abort();
      scheduler_->committed(decision.after);
    }
    for (Effect& effect : decision.effects) {
      if (const auto* answer = std::get_if<Reply>(&effect)) {
        if (open_.erase(answer->call) != 1) std::abort();
      } else if (const auto* question = std::get_if<LookUp>(&effect)) {
        auto found = look_up(store_, *question);
        apply(scheduler_->looked_up(question->id, std::move(found), now_));
      }
    }
  }

  fuzz::Bytes& bytes_;
  MemoryStore store_;
  SchedulerConfig config_;
  Now now_{BootTime(std::chrono::hours(1)), WallTime(std::chrono::hours(500'000))};
  std::optional<Scheduler> scheduler_;
  std::set<CallId> open_;
  CallId calls_ = 0;
  StreamId streams_ = 0;
  uint64_t jobs_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Bytes bytes(data, size);
  World world(bytes);
  while (!bytes.empty()) world.step();
  return 0;
}
