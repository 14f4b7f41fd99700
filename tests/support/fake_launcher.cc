#include "support/fake_launcher.h"

#include <cstdlib>

namespace clusterd {

void FakeLauncher::send(internal::ToLauncher message) {
  if (!connected_) return;
  ++messages_;
  for (const internal::LaunchPlan& plan : message.launch()) launch(plan);
  for (const v1::AttemptKey& key : message.stop()) {
    const auto found = attempts_.find({key.job_id(), key.attempt()});
    if (found == attempts_.end() || found->second.has_end()) continue;
    v1::JobEnd stopped;
    stopped.set_reason(v1::JobEnd::STOP_REQUESTED);
    stopped.set_signal(15);
    end(found->second, stopped);
  }
  for (const v1::AttemptKey& key : message.fence()) {
    attempts_.erase({key.job_id(), key.attempt()});
  }
  for (const v1::AttemptKey& key : message.forget()) {
    const auto found = attempts_.find({key.job_id(), key.attempt()});
    if (found != attempts_.end() && found->second.has_end()) attempts_.erase(found);
  }
  for (const internal::SignalOrder& order : message.signal()) signals_.push_back(order);
  if (message.contact_boottime_ns() != 0) contact_ns_ = message.contact_boottime_ns();
}

void FakeLauncher::launch(const internal::LaunchPlan& plan) {
  const auto [entry, is_new] = attempts_.try_emplace({plan.key().job_id(), plan.key().attempt()});
  if (!is_new) return;
  ++launches_[plan.key().job_id()];
  internal::LaunchedAttempt& attempt = entry->second;
  *attempt.mutable_key() = plan.key();
  attempt.set_started(true);
  attempt.mutable_start_time()->set_seconds(1000);
  attempt.set_pid(4711);
  *news_.add_started() = attempt;
}

void FakeLauncher::end(internal::LaunchedAttempt& attempt, const v1::JobEnd& how) {
  *attempt.mutable_end() = how;
  attempt.mutable_end_time()->set_seconds(2000);
  *news_.add_ended() = attempt;
}

void FakeLauncher::set_connected(bool connected) {
  connected_ = connected;
  if (!connected) news_.Clear();
}

internal::LauncherHello FakeLauncher::hello() const {
  internal::LauncherHello hello;
  hello.set_protocol_version(1);
  hello.set_journal_id("journal");
  for (const auto& [key, attempt] : attempts_) *hello.add_attempts() = attempt;
  return hello;
}

internal::FromLauncher FakeLauncher::take_news() {
  if (!connected_) return {};
  return std::exchange(news_, {});
}

internal::LaunchedAttempt& FakeLauncher::newest(const std::string& job_id) {
  for (auto entry = attempts_.rbegin(); entry != attempts_.rend(); ++entry) {
    if (entry->first.first == job_id) return entry->second;
  }
  std::abort();  // the test speaks of a job that was never launched
}

void FakeLauncher::exit(const std::string& job_id, int exit_code, uint64_t output_bytes) {
  v1::JobEnd how;
  how.set_reason(v1::JobEnd::EXITED);
  how.set_exit_code(exit_code);
  v1::OutputStream& output = *how.add_outputs();
  output.set_stream(v1::OutputStream::MERGED);
  output.set_total_bytes(output_bytes);
  end(newest(job_id), how);
}

void FakeLauncher::grow(const std::string& job_id, uint64_t length) {
  internal::OutputGrowth& growth = *news_.add_growth();
  *growth.mutable_key() = newest(job_id).key();
  growth.mutable_output()->set_stream(v1::OutputStream::MERGED);
  growth.mutable_output()->set_total_bytes(length);
}

void FakeLauncher::suspend(const std::string& job_id, bool suspended) {
  internal::LaunchedAttempt& attempt = newest(job_id);
  attempt.set_suspended(suspended);
  *news_.add_suspension() = attempt;
}

void FakeLauncher::lose_everything() {
  attempts_.clear();
  news_.Clear();
}

int FakeLauncher::launches(const std::string& job_id) const {
  const auto found = launches_.find(job_id);
  return found == launches_.end() ? 0 : found->second;
}

bool FakeLauncher::holds(const std::string& job_id) const {
  for (const auto& [key, attempt] : attempts_) {
    if (key.first == job_id) return true;
  }
  return false;
}

}  // namespace clusterd
