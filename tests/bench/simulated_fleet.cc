#include "bench/simulated_fleet.h"

#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/machine.h"

namespace clusterd::bench {
namespace {

using std::chrono::milliseconds;

constexpr uint32_t kMostJoining = 64;  // at one time
// Each is looked at every 100 ms, a tenth of them every 10 ms: their heartbeats stay spread.
constexpr milliseconds kLookInterval(10);
constexpr size_t kLooksInRound = 10;

}  // namespace

SimulatedFleet::SimulatedFleet(FleetOptions options, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      machine_(machine_identity()),
      joined_(options_.workers),
      files_("files", clock, [] { return std::nullopt; }),
      core_("core", clock, [this] { return on_turn(); }) {}

SimulatedFleet::~SimulatedFleet() {
  files_.stop();
  core_.stop();
}

void SimulatedFleet::join() {
  core_.post([this] {
    for (uint32_t number = 0; number < options_.workers; ++number) add_member(number);
    join_more();
  });
}

SessionOptions SimulatedFleet::session_options(uint32_t member) const {
  SessionOptions session;
  session.addresses = {options_.scheduler};
  session.credentials = [] { return grpc::InsecureChannelCredentials(); };
  session.data_dir = options_.data_dir;
  session.offer.set_name(absl::StrCat(options_.name_prefix, member + 1));
  session.offer.set_address(options_.address(member));
  *session.offer.mutable_identity() = machine_;
  session.offer.mutable_capacity()->set_slots(options_.slots);
  session.offer.mutable_capacity()->set_cpus(options_.slots);
  session.offer.mutable_capacity()->set_memory_bytes(64ULL << 30);
  return session;
}

void SimulatedFleet::add_member(uint32_t number) {
  SimulatedMember::Observer observer;
  observer.on_member = [this, number] {
    if (joined_[number]) return;
    joined_[number] = true;
    if (++ever_joined_ == options_.workers) {
      std::puts("ready");
      std::fflush(stdout);
    }
    join_more();
  };
  if (options_.run_time.count() > 0) {
    observer.on_started = [this, number](const v1::AttemptKey& key) {
      endings_.push_back({clock_.now().boot + options_.run_time, number, key});
    };
  }
  members_.push_back(std::make_unique<SimulatedMember>(session_options(number), core_, files_,
                                                       clock_, totals_, std::move(observer)));
}

void SimulatedFleet::join_more() {
  while (!leaving_ && next_joining_ < members_.size() &&
         next_joining_ < ever_joined_ + kMostJoining) {
    members_[next_joining_++]->join();
  }
}

void SimulatedFleet::leave() {
  std::promise<void> all_left;
  core_.post([this, &all_left] {
    leaving_ = true;
    auto waiting = std::make_shared<size_t>(members_.size());  // the callbacks own it together
    if (members_.empty()) all_left.set_value();
    for (auto& member : members_) {
      member->leave([waiting, &all_left] {
        if (--*waiting == 0) all_left.set_value();
      });
    }
  });
  all_left.get_future().wait();
}

template <typename Response, typename Order>
void SimulatedFleet::with_member(uint32_t member, SimulatedMember::Done<Response> done,
                                 Order order) {
  core_.post([this, member, done = std::move(done), order = std::move(order)]() mutable {
    if (member >= members_.size()) return done(absl::NotFoundError("there is no such member"));
    order(*members_[member], std::move(done));
  });
}

void SimulatedFleet::identify(uint32_t member, SimulatedMember::Done<v1::WorkerIdentity> done) {
  with_member(member, std::move(done),
              [](SimulatedMember& called, auto answered) { answered(called.identify()); });
}

void SimulatedFleet::start_jobs(uint32_t member, v1::StartJobsRequest request,
                                SimulatedMember::Done<v1::StartJobsResponse> done) {
  with_member(member, std::move(done),
              [request = std::move(request)](SimulatedMember& called, auto answered) mutable {
                called.start_jobs(std::move(request), std::move(answered));
              });
}

void SimulatedFleet::stop_jobs(uint32_t member, v1::StopJobsRequest request,
                               SimulatedMember::Done<v1::StopJobsResponse> done) {
  with_member(member, std::move(done),
              [request = std::move(request)](SimulatedMember& called, auto answered) mutable {
                called.stop_jobs(std::move(request), std::move(answered));
              });
}

void SimulatedFleet::look_at_some() {
  const size_t count = (members_.size() + kLooksInRound - 1) / kLooksInRound;
  for (size_t looked = 0; looked < count && !members_.empty(); ++looked) {
    if (next_look_ >= members_.size()) next_look_ = 0;
    members_[next_look_++]->on_turn();
  }
}

void SimulatedFleet::print() {
  core_.post([this] {
    std::printf(
        "{\"workers\":%zu,\"sessions\":%" PRIu64 ",\"members\":%" PRIu64 ",\"running\":%" PRIu64
        ",\"started\":%" PRIu64 ",\"ended\":%" PRIu64 ",\"acknowledged\":%" PRIu64
        ",\"refused\":%" PRIu64 ",\"sessions_lost\":%" PRIu64 "}\n",
        members_.size(), totals_.sessions, totals_.members, totals_.running, totals_.started,
        totals_.ended, totals_.acknowledged, totals_.refused, totals_.sessions_lost);
    std::fflush(stdout);
  });
}

std::optional<BootTime> SimulatedFleet::on_turn() {
  const BootTime now = clock_.now().boot;
  while (!endings_.empty() && endings_.front().due <= now) {
    const Ending ending = std::move(endings_.front());
    endings_.pop_front();
    members_[ending.member]->end(ending.key);
  }
  if (now >= look_due_) {
    look_at_some();
    look_due_ = now + kLookInterval;
  }
  return endings_.empty() ? look_due_ : std::min(look_due_, endings_.front().due);
}

}  // namespace clusterd::bench
