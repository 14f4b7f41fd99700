#include "store/etcd_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_tasks.h"
#include "core/ids.h"
#include "core/log.h"
#include "store/etcd_loader.h"
#include "store/etcd_pages.h"
#include "store/etcd_translator.h"

namespace clusterd {
namespace {

constexpr uint64_t kPruneEvents = 100;  // at least so many at once
constexpr std::chrono::seconds kAskForSpace(1);

bool is_empty(const StoreBatch& batch) { return batch.empty(); }

}  // namespace

// Batches that become one transaction.
struct EtcdStore::Group {
  absl::Span<const StoreBatch> batches;
  EtcdChanges changes;
  std::vector<const v1::Event*> events;
  size_t event_bytes = 0;
  uint64_t last_job_seq = 0;

  [[nodiscard]] bool has_room_for(const EtcdChanges& more, size_t more_event_bytes) const {
    return changes.may_follow(more) &&
           changes.bytes() + more.bytes() + event_bytes + more_event_bytes <=
               EtcdChanges::kMostBytes;
  }
};

EtcdStore::EtcdStore(EtcdClient& client, const Clock& clock, const Options& options)
    : client_(client),
      keys_(options.prefix),
      max_events_(options.max_events),
      writer_(
          client, keys_, clock,
          {.patience = options.patience, .wait_for_space = [this] { return wait_for_space(); }}),
      caretaker_(client, options.care) {}

void EtcdStore::set_leader(std::optional<LeaderKey> leader) {
  {
    const std::lock_guard lock(mutex_);
    leader_ = std::move(leader);
  }
  wake_.notify_all();
}

void EtcdStore::end_waits() {
  client_.end_reads();
  {
    const std::lock_guard lock(mutex_);
    ends_waits_ = true;
  }
  wake_.notify_all();
}

// New jobs are refused meanwhile, and what is to be said of the others waits.
bool EtcdStore::wait_for_space() {
  caretaker_.on_no_space();
  std::unique_lock lock(mutex_);
  const auto is_over = [this] {
    return ends_waits_ || !leader_ || leader_->create_revision != writer_.leader().create_revision;
  };
  return !wake_.wait_for(lock, kAskForSpace, is_over);
}

// A store that is not there yet has the format of this program and no records.
absl::StatusOr<internal::StoreMeta> EtcdStore::meta_or_new() {
  auto meta = read_etcd_meta(client_, keys_);
  if (!absl::IsNotFound(meta.status())) return meta;
  return internal::StoreMeta();
}

absl::StatusOr<StoreContents> EtcdStore::begin_term() {
  std::optional<LeaderKey> leader;
  {
    const std::lock_guard lock(mutex_);
    leader = leader_;
  }
  index_.clear();
  if (!leader) {
    caretaker_.rest();
    return absl::FailedPreconditionError("this scheduler is not the leader");
  }
  StoreContents contents;
  absl::Status status = take_office(*leader, contents);
  if (!status.ok()) {
    caretaker_.rest();
    return status;
  }
  index_.set_loaded();
  return contents;
}

absl::Status EtcdStore::take_office(const LeaderKey& leader, StoreContents& contents) {
  // Before anything is written: a newer program's store is left as it is.
  if (auto known = meta_or_new(); !known.ok()) return known.status();
  if (auto status = writer_.begin(leader); !status.ok()) return status;
  auto meta = meta_or_new();
  if (!meta.ok()) return meta.status();
  EtcdLoader loader(client_, keys_, index_);
  auto loaded = loader.load();
  if (!loaded.ok()) return loaded.status();
  contents = *std::move(loaded);

  meta_ = *std::move(meta);
  if (meta_.cluster_id().empty()) meta_.set_cluster_id(new_uuid_v4());
  meta_.set_schema_version(kEtcdFormat);
  meta_.set_epoch(std::max(static_cast<uint64_t>(leader.create_revision), meta_.epoch() + 1));
  // Records that do not parse are set aside first: what says so is not lost by a death in between.
  if (auto status = writer_.write(loader.take_repairs()); !status.ok()) return status;
  EtcdChanges begun;
  begun.put(keys_.format(), absl::StrCat(kEtcdFormat));
  begun.put(keys_.meta(), meta_.SerializeAsString());
  if (auto status = write(std::move(begun)); !status.ok()) return status;
  contents.meta = meta_;
  last_event_seq_ = meta_.last_event_seq();
  pruned_events_ = 0;
  return absl::OkStatus();
}

absl::Status EtcdStore::write(EtcdChanges changes) {
  const size_t bytes = changes.bytes();
  const absl::Status status = writer_.write(std::move(changes));
  if (status.ok()) caretaker_.on_commit(writer_.revision(), bytes);
  if (absl::IsFailedPrecondition(status)) caretaker_.rest();
  return status;
}

absl::Status EtcdStore::commit(absl::Span<const StoreBatch> batches) {
  if (std::all_of(batches.begin(), batches.end(), is_empty)) return absl::OkStatus();
  if (!index_.is_loaded()) return absl::FailedPreconditionError("no term of office has begun");
  EtcdTranslator translator(client_, keys_);
  if (auto status = translator.prepare(batches); !status.ok()) return status;
  Group group;
  size_t begin = 0;
  for (size_t i = 0; i < batches.size(); ++i) {
    EtcdChanges changes = translator.translate(batches[i]);
    size_t event_bytes = 0;
    for (const v1::Event& event : batches[i].put_events) event_bytes += event.ByteSizeLong();
    if (i > begin && !group.has_room_for(changes, event_bytes)) {
      group.batches = batches.subspan(begin, i - begin);
      if (auto status = write(group); !status.ok()) return status;
      group = Group();
      begin = i;
    }
    group.changes.append(std::move(changes));
    group.event_bytes += event_bytes;
    for (const v1::Event& event : batches[i].put_events) group.events.push_back(&event);
    for (const v1::Job& job : batches[i].put_jobs) {
      group.last_job_seq = std::max(group.last_job_seq, job.seq());
    }
  }
  group.batches = batches.subspan(begin);
  absl::Status status = write(group);
  for (const StoreBatch& batch : batches) {
    if (!status.ok() || !batch.upkeep) continue;
    // What was asked for is written; that the term is over shows with the next commit.
    const absl::Status swept = sweep(*batch.upkeep);
    if (!swept.ok()) log_warning("store", "upkeep is left for later", {{"error", swept}});
  }
  return status;
}

void EtcdStore::add_events(const Group& group, EtcdChanges& changes) {
  const uint64_t last = group.events.back()->seq();
  const uint64_t drop = last > max_events_ ? last - max_events_ : 0;
  if (drop >= pruned_events_ + std::min(kPruneEvents, max_events_)) {
    changes.erase_range(keys_.events(), keys_.event(drop) + '\0');
    pruned_events_ = drop;
  }
  put_events(keys_, group.events, changes);
}

absl::Status EtcdStore::write(Group& group) {
  EtcdChanges changes = std::move(group.changes);
  if (!group.events.empty()) add_events(group, changes);
  internal::StoreMeta meta = meta_;
  meta.set_last_job_seq(std::max(meta.last_job_seq(), group.last_job_seq));
  if (!group.events.empty()) meta.set_last_event_seq(group.events.back()->seq());
  if (meta.last_job_seq() != meta_.last_job_seq() ||
      meta.last_event_seq() != meta_.last_event_seq()) {
    changes.put(keys_.meta(), meta.SerializeAsString());
  }
  if (auto status = write(std::move(changes)); !status.ok()) return status;
  meta_ = std::move(meta);
  last_event_seq_ = meta_.last_event_seq();
  add_to_index(group.batches);
  return absl::OkStatus();
}

void EtcdStore::add_to_index(absl::Span<const StoreBatch> batches) {
  for (const StoreBatch& batch : batches) {
    for (const v1::Job& job : batch.put_jobs) {
      if (!split_task_id(job.job_id())) index_.put(job);
    }
    for (const std::string& job_id : batch.delete_jobs) index_.erase(job_id);
    for (const std::string& job_id : batch.forget_jobs) index_.erase(job_id);
    for (const auto& record : batch.put_idempotency) index_.put_request(record);
    for (const std::string& key : batch.delete_idempotency) index_.erase_request(key);
  }
}

}  // namespace clusterd
