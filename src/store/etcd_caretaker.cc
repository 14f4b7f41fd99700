#include "store/etcd_caretaker.h"

#include <pthread.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "core/log.h"

namespace clusterd {
namespace {

using std::chrono::steady_clock;

// Old revisions of so much are forgotten without waiting for the time.
constexpr size_t kMostWritten = 64 << 20;
constexpr auto kTimeout = std::chrono::seconds(10);

}  // namespace

EtcdCaretaker::EtcdCaretaker(EtcdClient& client, const Options& options)
    : client_(client),
      options_(options),
      thread_([this](const std::stop_token& stop) { run(stop); }) {
  pthread_setname_np(thread_.native_handle(), "etcd caretaker");
}

EtcdCaretaker::~EtcdCaretaker() {
  thread_.request_stop();
  thread_.join();
}

void EtcdCaretaker::on_commit(int64_t revision, size_t bytes) {
  // Until etcd is asked again; records may take the room of old ones.
  int64_t free = free_bytes_;
  const auto used = static_cast<int64_t>(bytes);
  while (free > 0 && !free_bytes_.compare_exchange_weak(free, std::max<int64_t>(0, free - used))) {
  }
  const std::lock_guard lock(mutex_);
  revision_ = revision;
  written_ += bytes;
}

void EtcdCaretaker::on_no_space() { free_bytes_ = 0; }

void EtcdCaretaker::rest() {
  const std::lock_guard lock(mutex_);
  revision_ = 0;
}

absl::StatusOr<uint64_t> EtcdCaretaker::free_bytes() const {
  const int64_t free = free_bytes_;
  if (free < 0) return absl::UnavailableError("etcd has not said yet how much space it has");
  return static_cast<uint64_t>(free);
}

// Pages that are free within the file are written before the file grows; once the file is as large
// as the quota, etcd takes nothing until somebody defragments it.
absl::Status EtcdCaretaker::ask(const std::stop_token& stop) {
  const auto status = client_.status({.timeout = kTimeout, .stop = stop});
  if (!status.ok()) return status.status();
  const auto size = static_cast<uint64_t>(std::max<int64_t>(0, status->dbsize()));
  const auto in_use = static_cast<uint64_t>(std::max<int64_t>(0, status->dbsizeinuse()));
  const bool has_alarm =
      std::any_of(status->errors().begin(), status->errors().end(),
                  [](const std::string& error) { return absl::StrContains(error, "NOSPACE"); });
  const bool is_full = has_alarm || size >= options_.quota_bytes;
  free_bytes_ = is_full ? 0 : static_cast<int64_t>(options_.quota_bytes - std::min(in_use, size));
  return absl::OkStatus();
}

// What was at the last compaction stays for one more interval: a page that is being read is as of
// a revision that is not forgotten yet.
void EtcdCaretaker::compact(const std::stop_token& stop) {
  int64_t revision = 0;
  {
    const std::lock_guard lock(mutex_);
    revision = revision_;
    written_ = 0;
  }
  if (older_revision_ > 0 && older_revision_ < revision) {
    const auto status = client_.compact(older_revision_, {.timeout = kTimeout, .stop = stop});
    if (!status.ok()) log_warning("store", "etcd keeps old revisions", {{"error", status}});
  }
  older_revision_ = revision;
}

void EtcdCaretaker::run(const std::stop_token& stop) {
  auto next_compaction = steady_clock::now() + options_.compact_every;
  while (!stop.stop_requested()) {
    (void)ask(stop);  // what is not known stays as it was, and is asked again
    bool is_due = steady_clock::now() >= next_compaction;
    bool leads = false;
    {
      std::unique_lock lock(mutex_);
      (void)wake_.wait_for(lock, stop, options_.ask_every, [] { return false; });
      is_due = is_due || written_ > kMostWritten;
      leads = revision_ > 0;
    }
    if (!leads || !is_due) continue;
    compact(stop);
    next_compaction = steady_clock::now() + options_.compact_every;
  }
}

}  // namespace clusterd
