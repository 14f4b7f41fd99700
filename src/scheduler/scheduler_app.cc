#include "scheduler/scheduler_app.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/version.h"
#include "core/field_error.h"
#include "core/log.h"

namespace clusterd {
namespace {

constexpr size_t kReaders = 2;
constexpr auto kReloadAfter = std::chrono::seconds(1);
constexpr auto kRetryWhenFull = std::chrono::seconds(10);
constexpr auto kRetryWhenNotReady = std::chrono::seconds(1);

}  // namespace

SchedulerApp::SchedulerApp(const SchedulerConfig& config, const Clock& clock, Store& store,
                           WorkerLinkMaker make_link, OriginalLinkMaker make_original_link,
                           Election* election)
    : config_(config),
      clock_(clock),
      store_(store),
      make_link_(std::move(make_link)),
      make_original_link_(std::move(make_original_link)),
      election_(election),
      readers_(kReaders),
      loader_(1),
      loop_(std::make_shared<EventLoop>("scheduler", clock, [this] { return turn(); })) {
  set_fault("the store is being loaded");
  if (election_ == nullptr) loop_->post([this] { load(); });
}

SchedulerApp::~SchedulerApp() { stop(); }

std::optional<BootTime> SchedulerApp::turn() {
  check_lease();
  if (term_ != nullptr) {
    const auto due = term_->turn();
    if (election_ == nullptr) return due;
    const BootTime end = election_->leads_until();
    return due ? std::min(*due, end) : end;
  }
  if (retry_load_ && *retry_load_ <= clock_.now().boot) {
    retry_load_.reset();
    load();
  }
  return retry_load_;
}

CallId SchedulerApp::call(Term::Done done, Term::Decide decide) {
  const CallId id = next_id();
  call(id, std::move(done), std::move(decide));
  return id;
}

void SchedulerApp::call(CallId id, Term::Done done, Term::Decide decide) {
  with_term([id, done = std::move(done), decide = std::move(decide)](Term* term) mutable {
    if (term == nullptr) {
      done(with_retry_delay(absl::UnavailableError("the scheduler is not ready"),
                            kRetryWhenNotReady));
    } else {
      term->call(id, std::move(done), std::move(decide));
    }
  });
}

void SchedulerApp::abandon(CallId call) {
  with_term([call](Term* term) {
    if (term != nullptr) term->abandon(call);
  });
}

void SchedulerApp::with_term(absl::AnyInvocable<void(Term*)> task) {
  loop_->post([this, task = std::move(task)]() mutable {
    check_lease();
    task(term_.get());
  });
}

void SchedulerApp::read(absl::AnyInvocable<void()> task) {
  // Asio's handlers must be copyable in places; one allocation keeps the task movable.
  auto shared = std::make_shared<absl::AnyInvocable<void()>>(std::move(task));
  boost::asio::post(readers_, [shared] { (*shared)(); });
}

absl::Status SchedulerApp::check_disk() {
  const auto free = store_.free_bytes();
  if (!free.ok() || *free >= config_.store.min_free_bytes) return absl::OkStatus();
  return with_retry_delay(
      absl::ResourceExhaustedError(absl::StrCat(
          config_.store.backend == "etcd" ? "etcd" : "the scheduler's disk", " has ", *free,
          " free bytes, and jobs are accepted from ", config_.store.min_free_bytes, " on")),
      kRetryWhenFull);
}

absl::Status SchedulerApp::check_office() const {
  const bool leads = election_ == nullptr || clock_.now().boot < election_->leads_until();
  if (leads && in_office_ != 0) return absl::OkStatus();
  return absl::UnavailableError("no scheduler leads at the moment");
}

absl::StatusOr<std::string> SchedulerApp::readiness() const {
  const auto leader = leader_.load();
  if (!leader->ok()) return leader->status();
  const std::string& address = (*leader)->address;
  const bool follows = !address.empty();
  if (follows && clock_.now().boot >= election_->heard_until()) {
    return absl::UnavailableError("etcd has not answered for longer than a lease lives");
  }
  std::string text = absl::StrCat("leader ", address.empty() ? self().address() : address,
                                  "\nepoch ", (*leader)->epoch, "\n");
  for (const v1::SchedulerMember& member : members()) {
    if (!member.leader()) absl::StrAppend(&text, "follower ", member.address(), "\n");
  }
  return text;
}

void SchedulerApp::set_addresses(std::string address, std::string http_address) {
  v1::SchedulerMember self;
  self.set_address(std::move(address));
  self.set_http_address(std::move(http_address));
  self.set_leader(true);
  self.set_version(version());
  self_.store(std::make_shared<const v1::SchedulerMember>(std::move(self)));
}

std::vector<v1::SchedulerMember> SchedulerApp::members() const {
  return election_ != nullptr ? election_->members() : std::vector{self()};
}

void SchedulerApp::set_fault(std::string_view fault) {
  leader_.store(std::make_shared<const absl::StatusOr<Leader>>(
      absl::UnavailableError(absl::string_view(fault.data(), fault.size()))));
}

void SchedulerApp::set_ready(Leader leader) {
  leader_.store(std::make_shared<const absl::StatusOr<Leader>>(std::move(leader)));
}

bool SchedulerApp::may_load() const {
  return !stopping_ && (election_ == nullptr || standing_ == Standing::Kind::kLeads);
}

void SchedulerApp::load() {
  if (is_loading_) return;  // what comes of it is looked at then
  is_loading_ = true;
  boost::asio::post(loader_, [this, standings = standings_] {
    auto contents = store_.begin_term();
    loop_->post([this, standings, contents = std::move(contents)]() mutable {
      is_loading_ = false;
      if (standings == standings_) return begin_term(std::move(contents));
      if (may_load()) load();
    });
  });
}

void SchedulerApp::stand(const Standing& standing) {
  loop_->post([this, standing] { on_standing(standing); });
}

void SchedulerApp::on_standing(const Standing& standing) {
  if (stopping_) return;
  standing_ = standing.kind;
  ++standings_;
  retry_load_.reset();
  if (standing.kind == Standing::Kind::kLeads) {
    set_fault("the store is being loaded");
    return load();
  }
  if (!first_load_.try_wait()) first_load_.count_down();
  if (standing.kind == Standing::Kind::kFollows) {
    set_ready({.address = standing.leader.address(), .epoch = standing.epoch});
  } else {
    set_fault("no scheduler leads at the moment");
  }
  if (term_ == nullptr) return;
  log_warning("scheduler", "the term of office ends: this scheduler leads no more");
  leave_office();
}

void SchedulerApp::check_lease() {
  if (election_ == nullptr || term_ == nullptr) return;
  if (clock_.now().boot < election_->leads_until()) return;
  log_warning("scheduler", "the term of office ends: the lease may have ended");
  set_fault("no scheduler leads at the moment");
  leave_office();
  election_->give_up();  // a keep-alive that was under way may still succeed
}

void SchedulerApp::leave_office() {
  in_office_ = 0;
  term_.reset();
}

// With an election another term has another key: whoever is first has it.
void SchedulerApp::try_again(BootTime at) {
  if (election_ != nullptr) return election_->give_up();
  retry_load_ = at;
}

void SchedulerApp::begin_term(absl::StatusOr<StoreContents> contents) {
  if (!first_load_.try_wait()) first_load_.count_down();
  if (stopping_) return;
  if (!contents.ok()) {
    log_error("scheduler", "the store cannot be loaded", {{"error", contents.status()}});
    set_fault("the store cannot be loaded: " + std::string(contents.status().message()));
    return try_again(clock_.now().boot + kReloadAfter);
  }
  if (election_ != nullptr && clock_.now().boot >= election_->leads_until()) {
    return election_->give_up();
  }
  for (const std::string& record : contents->set_aside) {
    log_error("scheduler", "a stored record was set aside", {{"record", record}});
  }
  const uint64_t epoch = contents->meta.epoch();
  log_info("scheduler", "term of office begins",
           {{"epoch", epoch},
            {"live_jobs", contents->live_jobs.size()},
            {"workers", contents->workers.size()}});
  const uint64_t number = ++terms_;
  auto post = [this, number, loop = loop_](absl::AnyInvocable<void()> task) {
    // A task that the loop still takes is run before stop() returns, so this is there.
    loop->post([this, number, task = std::move(task)]() mutable {
      check_lease();
      if (term_ != nullptr && terms_ == number) task();
    });
  };
  in_office_ = number;
  term_ = std::make_unique<Term>(
      config_, *std::move(contents),
      TermSurroundings{.clock = clock_,
                       .store = store_,
                       .metrics = metrics_,
                       .make_link = make_link_,
                       .make_original_link = make_original_link_,
                       .next_id = [this] { return next_id(); },
                       .post = post,
                       .read =
                           [this, number](absl::AnyInvocable<void()> task) {
                             read([this, number, task = std::move(task)]() mutable {
                               if (in_office_ == number) task();  // else nobody waits for it
                             });
                           },
                       .on_failure = [this](const absl::Status& why) { end_term(why); }});
  set_ready({.epoch = epoch});
}

void SchedulerApp::end_term(const absl::Status& why) {
  log_error("scheduler", "a commit failed; the term of office ends", {{"error", why}});
  set_fault("the store failed: " + std::string(why.message()));
  leave_office();
  if (may_load()) try_again(clock_.now().boot);
}

void SchedulerApp::retire() {
  store_.end_waits();
  loop_->post([this] {
    stopping_ = true;
    retry_load_.reset();
    set_fault("the scheduler is stopping");
    leave_office();
    if (election_ != nullptr) election_->leave();  // with nothing left to write
  });
}

void SchedulerApp::stop() {
  retire();
  loop_->stop();
  readers_.join();
  loader_.join();
  if (election_ != nullptr) election_->wait_until_left();
}

}  // namespace clusterd
