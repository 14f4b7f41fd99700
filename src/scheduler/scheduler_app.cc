#include "scheduler/scheduler_app.h"

#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/log.h"

namespace clusterd {
namespace {

constexpr size_t kReaders = 2;
constexpr auto kReloadAfter = std::chrono::seconds(1);
constexpr auto kRetryWhenFull = std::chrono::seconds(10);

}  // namespace

SchedulerApp::SchedulerApp(const SchedulerConfig& config, const Clock& clock, Store& store,
                           WorkerLinkMaker make_link, OriginalLinkMaker make_original_link)
    : config_(config),
      clock_(clock),
      store_(store),
      make_link_(std::move(make_link)),
      make_original_link_(std::move(make_original_link)),
      fault_(std::make_shared<const std::string>("the store is being loaded")),
      readers_(kReaders),
      loop_(std::make_shared<EventLoop>("scheduler", clock, [this] { return turn(); })) {
  loop_->post([this] { load(); });
}

SchedulerApp::~SchedulerApp() { stop(); }

std::optional<BootTime> SchedulerApp::turn() {
  if (term_ != nullptr) return term_->turn();
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
      done(absl::UnavailableError("the scheduler is not ready"));
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
  loop_->post([this, task = std::move(task)]() mutable { task(term_.get()); });
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

absl::Status SchedulerApp::readiness() const {
  const auto fault = fault_.load();
  return fault->empty() ? absl::OkStatus() : absl::UnavailableError(*fault);
}

void SchedulerApp::set_address(std::string address) {
  address_.store(std::make_shared<const std::string>(std::move(address)));
}

std::string SchedulerApp::address() const { return *address_.load(); }

void SchedulerApp::set_fault(const std::string& fault) {
  fault_.store(std::make_shared<const std::string>(fault));
}

void SchedulerApp::load() {
  read([this] {
    auto contents = store_.begin_term();
    loop_->post(
        [this, contents = std::move(contents)]() mutable { begin_term(std::move(contents)); });
  });
}

void SchedulerApp::begin_term(absl::StatusOr<StoreContents> contents) {
  if (!first_load_.try_wait()) first_load_.count_down();
  if (stopping_) return;
  if (!contents.ok()) {
    log_error("scheduler", "the store cannot be loaded", {{"error", contents.status()}});
    set_fault("the store cannot be loaded: " + std::string(contents.status().message()));
    retry_load_ = clock_.now().boot + kReloadAfter;
    return;
  }
  for (const std::string& record : contents->set_aside) {
    log_error("scheduler", "a stored record was set aside", {{"record", record}});
  }
  log_info("scheduler", "term of office begins",
           {{"epoch", contents->meta.epoch()},
            {"live_jobs", contents->live_jobs.size()},
            {"workers", contents->workers.size()}});
  const uint64_t number = ++terms_;
  auto post = [this, number, loop = loop_](absl::AnyInvocable<void()> task) {
    // A task that the loop still takes is run before stop() returns, so this is there.
    loop->post([this, number, task = std::move(task)]() mutable {
      if (term_ != nullptr && terms_ == number) task();
    });
  };
  term_ = std::make_unique<Term>(
      config_, *std::move(contents),
      TermSurroundings{.clock = clock_,
                       .store = store_,
                       .metrics = metrics_,
                       .make_link = make_link_,
                       .make_original_link = make_original_link_,
                       .next_id = [this] { return next_id(); },
                       .post = post,
                       .read = [this](absl::AnyInvocable<void()> task) { read(std::move(task)); },
                       .on_failure = [this](const absl::Status& why) { end_term(why); }});
  set_fault("");
}

void SchedulerApp::end_term(const absl::Status& why) {
  log_error("scheduler", "a commit failed; the term of office ends", {{"error", why}});
  set_fault("the store failed: " + std::string(why.message()));
  term_.reset();
  retry_load_ = clock_.now().boot;
}

void SchedulerApp::retire() {
  loop_->post([this] {
    stopping_ = true;
    retry_load_.reset();
    set_fault("the scheduler is stopping");
    term_.reset();
  });
}

void SchedulerApp::stop() {
  retire();
  loop_->stop();
  readers_.join();
}

}  // namespace clusterd
