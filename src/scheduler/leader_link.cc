#include "scheduler/leader_link.h"

#include <chrono>
#include <utility>
#include <vector>

#include "core/field_error.h"

namespace clusterd {
namespace {

constexpr std::chrono::seconds kAskAgain(1);

}  // namespace

absl::Status LeaderLink::nobody_leads() {
  return ask_again(absl::UnavailableError("no scheduler leads at the moment"));
}

absl::Status LeaderLink::ask_again(absl::Status unavailable) {
  return with_retry_delay(std::move(unavailable), kAskAgain);
}

LeaderLink::Call::Call(LeaderLink& link, const Route& route,
                       std::shared_ptr<grpc::ClientContext> context)
    : link_(link) {
  const std::lock_guard lock(link.mutex_);
  id_ = ++link.last_call_;
  const bool is_late = route.standing != link.standings_;
  if (is_late) context->TryCancel();  // it has not begun: it ends when it does
  link.calls_.emplace(id_, Open{std::move(context), is_late});
}

bool LeaderLink::Call::end() {
  const std::lock_guard lock(link_.mutex_);
  const auto found = link_.calls_.find(std::exchange(id_, 0));
  if (found == link_.calls_.end()) return false;
  const bool is_cancelled = found->second.is_cancelled;
  link_.calls_.erase(found);
  return is_cancelled;
}

void LeaderLink::stand(const Standing& standing) {
  std::vector<uint64_t> ids;
  {
    const std::lock_guard lock(mutex_);
    standing_ = standing;
    ++standings_;
    connections_.fill(nullptr);
    for (const auto& [id, open] : calls_) ids.push_back(id);
  }
  for (const uint64_t id : ids) {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(id);
    if (found == calls_.end()) continue;
    found->second.is_cancelled = true;
    const auto context = found->second.context;
    context->TryCancel();
  }
}

LeaderLink::Route LeaderLink::route() {
  const std::lock_guard lock(mutex_);
  if (standing_.kind == Standing::Kind::kLeads) return {.is_here = true};
  if (standing_.kind != Standing::Kind::kFollows || standing_.leader.address().empty()) return {};
  if (const uint64_t generation = channels_.generation(); generation != generation_) {
    connections_.fill(nullptr);
    generation_ = generation;
  }
  auto& channel = connections_.at(next_connection_++ % kConnections);
  if (channel == nullptr) channel = channels_.make(standing_.leader.address());
  return {.is_here = false, .channel = channel, .standing = standings_};
}

}  // namespace clusterd
