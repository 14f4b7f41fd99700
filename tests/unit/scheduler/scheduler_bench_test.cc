#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <deque>

#include "support/cluster_of_fakes.h"

// How fast a long queue is given out. Hidden: run with `scheduler_test "[bench]"`.

namespace clusterd {
namespace {

constexpr int kJobs = 100'000;
constexpr int kEnds = 3'000;
constexpr int kKinds = 1'000;

// Kinds differ in one number, so that jobs of each cost the same to place.
v1::JobSpec of_kind(int kind) {
  v1::JobSpec spec = spec_for();
  spec.mutable_resources()->set_memory_bytes(1'000 + static_cast<uint64_t>(kind));
  (*spec.mutable_resources()->mutable_custom())["gpu"] = 1;
  spec.add_require("zone=a");
  spec.add_tolerate("x");
  return spec;
}

// Jobs a second that follow one that ended, with so many queued of so many kinds.
class Rate {
 public:
  explicit Rate(int kinds) : scheduler_({}, contents(), now_) {
    for (int i = 0; i < kWorkers; ++i) join(i);
    for (int i = 0; i < kJobs; ++i) {
      apply(scheduler_.submit(++calls_,
                              {.job_id = "job-" + std::to_string(i),
                               .spec = of_kind(i % kinds),
                               .submitted_by = "",
                               .trace_parent = "",
                               .request = {},
                               .external_id = ""},
                              now_));
    }
  }

  double measure() {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kEnds; ++i) {
      const Dispatch order = std::move(started_.front());
      started_.pop_front();
      v1::SessionRequest message;
      message.set_epoch(scheduler_.epoch());
      message.set_session(order.session);
      v1::JobEvent& event = *message.mutable_events()->add_events();
      *event.mutable_key() = order.attempt.key();
      event.mutable_ended()->set_reason(v1::JobEnd::EXITED);
      event.mutable_ended()->set_exit_code(0);
      apply(scheduler_.session_message(streams_.at(order.worker_id), message, now_));
    }
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    return kEnds / passed.count();
  }

 private:
  static constexpr int kWorkers = 50;
  static constexpr uint32_t kSlots = 8;

  static StoreContents contents() {
    StoreContents contents;
    contents.meta.set_epoch(1);
    return contents;
  }

  void join(int number) {
    RegisterOrder order;
    const std::string name = "w" + std::to_string(number);
    order.request.set_name(name);
    order.request.set_address(name + ":1");
    order.request.mutable_capacity()->set_slots(kSlots);
    order.request.mutable_capacity()->set_memory_bytes(1ULL << 40);
    (*order.request.mutable_capacity()->mutable_custom())["gpu"] = kSlots;
    (*order.request.mutable_labels())["zone"] = "a";
    order.request.mutable_identity()->set_boot_id("boot");
    order.request.mutable_identity()->set_journal_id("journal");
    order.fresh_worker_id = name;
    order.fresh_sha256 = "digest";
    apply(scheduler_.register_worker(++calls_, order, now_));
    v1::SessionHello hello;
    hello.mutable_identity()->set_worker_id(name);
    hello.mutable_identity()->set_boot_id("boot");
    hello.mutable_identity()->set_journal_id("journal");
    const StreamId stream = 1'000 + static_cast<StreamId>(number);
    streams_[name] = stream;
    apply(scheduler_.session_hello(stream, hello, "digest", now_));
    v1::WorkerIdentity identity;
    identity.set_worker_id(name);
    apply(scheduler_.called_back(name, session_, identity, now_));
  }

  void apply(Decision decision) {
    scheduler_.committed(decision.after);
    for (Effect& effect : decision.effects) {
      if (auto* order = std::get_if<Dispatch>(&effect)) started_.push_back(std::move(*order));
      if (const auto* down = std::get_if<SendDown>(&effect)) {
        if (down->message.has_welcome()) session_ = down->message.welcome().session();
      }
    }
  }

  Now now_{BootTime(std::chrono::hours(1)), WallTime(std::chrono::hours(1000))};
  Scheduler scheduler_;
  CallId calls_ = 0;
  uint64_t session_ = 0;
  std::map<std::string, StreamId> streams_;
  std::deque<Dispatch> started_;
};

TEST_CASE("a queue of a thousand kinds of jobs is given out as fast as one of one kind",
          "[.][bench]") {
  Rate one(1);
  Rate many(kKinds);
  double of_one = 0;
  double of_many = 0;
  for (int round = 0; round < 8; ++round) {  // in turns: the machine has others to serve
    of_one = std::max(of_one, one.measure());
    of_many = std::max(of_many, many.measure());
  }

  WARN("one kind: " << of_one << " jobs/s, " << kKinds << " kinds: " << of_many << " jobs/s");
  CHECK(of_many > 0.8 * of_one);
}

}  // namespace
}  // namespace clusterd
