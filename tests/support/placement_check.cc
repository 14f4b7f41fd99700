#include "support/placement_check.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "scheduler/ready_queue.h"

namespace clusterd {
namespace {

constexpr CallId kCall = UINT64_MAX;
constexpr double kCpuTolerance = 1e-6;

template <typename T>
const T& answer_in(const Decision& decision) {
  return std::get<T>(*std::get<Reply>(decision.effects.at(0)).answer);
}

// A job that nothing but room is missing for.
struct Waiting {
  v1::Job job;
  std::tuple<int32_t, uint64_t, uint32_t> place;  // priority, acceptance, index
  uint64_t fitting_workers = 0;
};

std::string kind_of(const v1::Job& job) {
  v1::JobSpec wants;
  *wants.mutable_resources() = job.spec().resources();
  *wants.mutable_require() = job.spec().require();
  *wants.mutable_gang() = job.spec().gang();
  if (!job.spec().worker_id().empty()) wants.set_worker_id(job.worker_id());
  const Shape shape = Shape::of(job.spec(), wants.worker_id());
  return absl::StrCat(wants.SerializeAsString(), absl::StrJoin(shape.limits, ","),
                      shape.suits_clusterd, shape.suits_jobscheduler, shape.suits_go_work,
                      shape.has_payload);
}

std::vector<Waiting> waiting_jobs(Scheduler& scheduler, const MemoryStore& store) {
  std::vector<v1::Job> queued;
  store.visit_jobs([&queued](const v1::Job& job) {
    const bool array_waits = job.spec().has_array() && !job.has_unstarted_end();
    if (job.state() == v1::Job::QUEUED || (array_waits && job.state() == v1::Job::RUNNING)) {
      queued.push_back(job);
    }
  });
  std::vector<Waiting> waiting;
  for (const v1::Job& job : queued) {
    v1::ExplainJobRequest request;
    request.set_job_id(job.job_id());
    const Decision decision = scheduler.explain(kCall, request);
    if (decision.effects.empty() || !std::holds_alternative<Reply>(decision.effects[0])) {
      scheduler.abandon(kCall);  // it has left, and would be read
      continue;
    }
    const auto& answer = answer_in<v1::ExplainJobResponse>(decision);
    const bool bounded = answer.summary().find("max_parallel") != std::string::npos ||
                         answer.summary().starts_with("queue ");
    const bool holds = job.spec().has_gang() && answer.summary().starts_with("queue ");
    if (answer.workers().empty() || (bounded && !holds)) continue;
    Waiting& entry = waiting.emplace_back();
    const auto parts = split_task_id(job.job_id());
    entry.place = {-job.spec().priority(), job.seq(), parts ? parts->second : 0};
    for (const auto& worker : answer.workers()) {
      entry.fitting_workers += worker.fits() && !bounded ? 1 : 0;
    }
    entry.job = job;
  }
  std::sort(waiting.begin(), waiting.end(),
            [](const Waiting& a, const Waiting& b) { return a.place < b.place; });
  return waiting;
}

std::map<std::string, v1::Queue> queues_by_name(Scheduler& scheduler) {
  std::map<std::string, v1::Queue> queues;
  const Decision decision = scheduler.list_queues(kCall);
  for (const v1::Queue& queue : answer_in<v1::ListQueuesResponse>(decision).queues()) {
    queues[queue.name()] = queue;
  }
  return queues;
}

}  // namespace

std::string job_stuck_though_it_fits(Scheduler& scheduler, const MemoryStore& store) {
  const std::vector<Waiting> waiting = waiting_jobs(scheduler, store);
  const bool any_fits = std::any_of(waiting.begin(), waiting.end(),
                                    [](const Waiting& job) { return job.fitting_workers > 0; });
  if (!any_fits) return "";
  // Between queues the order is another one: any kind of another queue may come before.
  std::map<std::string, std::set<std::string>> kinds_of;
  uint64_t gangs = 0;  // each keeps no more workers than it has tasks
  for (const Waiting& job : waiting) {
    kinds_of[job.job.spec().queue()].insert(kind_of(job.job));
    if (job.job.spec().has_gang()) gangs += job.job.spec().gang().size();
  }
  uint64_t kinds = 0;
  for (const auto& [queue, some] : kinds_of) kinds += some.size();
  std::map<std::string, std::set<std::string>> before;
  std::map<std::string, uint64_t>
      kept_in;  // attempts of each queue for which its cap has room kept
  std::map<std::string, v1::Queue> queues = queues_by_name(scheduler);
  std::set<std::string> held;  // queues whose cap a gang waits for
  for (const Waiting& job : waiting) {
    const std::string& queue = job.job.spec().queue();
    const std::string kind = kind_of(job.job);
    const uint64_t others = kinds - kinds_of[queue].size();
    // Each kind that comes before may keep one worker.
    const uint64_t kept = before[queue].size() + others + gangs;
    if (!before[queue].insert(kind).second) continue;  // behind one of its kind
    if (job.job.spec().has_gang()) held.insert(queue);
    const uint64_t attempts =
        job.job.spec().has_gang() ? std::max(1U, job.job.spec().gang().size()) : 1;
    const v1::Queue& state = queues[queue.empty() ? "default" : queue];
    const bool below_cap = state.max_running() == 0 ||
                           state.running() + kept_in[queue] + attempts <= state.max_running();
    kept_in[queue] += attempts;
    if (!below_cap) continue;
    if (held.contains(queue) || job.fitting_workers <= kept) continue;
    return absl::StrCat("stuck though it fits: ", job.job.job_id(), ", ", job.fitting_workers,
                        " workers have room for it, at most ", kept, " may be kept for others");
  }
  return "";
}

std::string worker_above_capacity(Scheduler& scheduler, const MemoryStore& store) {
  std::map<std::string, v1::Resources> used;
  store.visit_jobs([&used](const v1::Job& job) {
    const bool runs = job.state() == v1::Job::STARTING || job.state() == v1::Job::RUNNING;
    if (!runs || has_tasks(job)) return;
    v1::Resources& sum = used[job.worker_id()];
    sum.set_slots(sum.slots() + std::max(1U, job.spec().resources().slots()));
    sum.set_cpus(sum.cpus() + job.spec().resources().cpus());
  });
  const Decision decision = scheduler.list_workers(kCall, {});
  for (const v1::Worker& worker : answer_in<v1::ListWorkersResponse>(decision).workers()) {
    const v1::Resources& sum = used[worker.worker_id()];
    const v1::Resources& has = worker.capacity();
    if (sum.slots() <= has.slots() && sum.cpus() <= has.cpus() + kCpuTolerance) continue;
    return absl::StrCat(worker.name(), " is filled above its capacity: ", sum.ShortDebugString());
  }
  return "";
}

}  // namespace clusterd
