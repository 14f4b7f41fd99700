#include "store/etcd_archive.h"

#include <optional>
#include <thread>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "clusterd/internal/etcd_records.pb.h"
#include "store/etcd_keys.h"
#include "store/etcd_loader.h"
#include "store/etcd_pages.h"
#include "store/store_archive.h"

namespace clusterd {
namespace {

constexpr size_t kMostFaults = 100;
constexpr char kDamaged[] = "damaged";
constexpr auto kTimeout = std::chrono::seconds(30);
constexpr int kMostLooks = 100;
constexpr auto kBetweenLooks = std::chrono::milliseconds(100);

// Where a message belongs; nullopt: it does not parse.
template <typename Message, typename KeyOf>
std::optional<std::string> parse(std::string_view record, KeyOf key_of) {
  Message message;
  if (!message.ParseFromArray(record.data(), static_cast<int>(record.size()))) return {};
  return key_of(message);
}

std::optional<std::string> key_in(const EtcdKeys& keys, ArchiveKind kind, std::string_view record) {
  switch (kind) {
    case ArchiveKind::kJob:
      return parse<v1::Job>(record, [&](const v1::Job& job) { return keys.job(job.job_id()); });
    case ArchiveKind::kWorker:
      return parse<internal::WorkerRecord>(record, [&](const internal::WorkerRecord& worker) {
        return keys.workers() + worker.worker().worker_id();
      });
    case ArchiveKind::kIdempotency:
      return parse<internal::IdempotencyRecord>(record,
                                                [&](const internal::IdempotencyRecord& answer) {
                                                  return keys.requests() + answer.key();
                                                });
    case ArchiveKind::kSchedule:
      return parse<v1::Schedule>(
          record, [&](const v1::Schedule& schedule) { return keys.schedules() + schedule.name(); });
    case ArchiveKind::kQueue:
      return parse<v1::Queue>(record,
                              [&](const v1::Queue& queue) { return keys.queues() + queue.name(); });
    case ArchiveKind::kEvent:
      return parse<internal::EventChunk>(record, [&](const internal::EventChunk& chunk) {
        return chunk.events().empty() ? "" : keys.event(chunk.events().rbegin()->seq());
      });
    default:
      return std::nullopt;
  }
}

struct Folder {
  const char* name;
  ArchiveKind kind;
  std::string prefix;
};

// Those whose values are messages.
std::vector<Folder> folders(const EtcdKeys& keys) {
  return {{"jobs", ArchiveKind::kJob, keys.jobs()},
          {"jobs", ArchiveKind::kJob, keys.tasks()},
          {"workers", ArchiveKind::kWorker, keys.workers()},
          {"idempotency", ArchiveKind::kIdempotency, keys.requests()},
          {"events", ArchiveKind::kEvent, keys.events()},
          {"schedules", ArchiveKind::kSchedule, keys.schedules()},
          {"queues", ArchiveKind::kQueue, keys.queues()}};
}

// A revision between two commits: one of which a part alone is carried out is waited for.
absl::StatusOr<int64_t> whole_revision(EtcdClient& client, const EtcdKeys& keys) {
  etcdserverpb::RangeRequest request;
  request.set_key(keys.staged_whole());
  for (int looks = 0; looks < kMostLooks; ++looks) {
    const auto staged = client.range(request, {.timeout = kTimeout});
    if (!staged.ok()) return staged.status();
    if (staged->kvs().empty()) return staged->header().revision();
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return absl::FailedPreconditionError(
      absl::StrCat("a commit into the store below ", keys.all(),
                   " has not been carried out; start a scheduler, which does it"));
}

// The number of events of a chunk; of other records 1.
size_t records_in(ArchiveKind kind, const std::string& value) {
  internal::EventChunk chunk;
  if (kind != ArchiveKind::kEvent || !chunk.ParseFromString(value)) return 1;
  return static_cast<size_t>(chunk.events_size());
}

absl::Status add_record(ArchiveWriter& writer, ArchiveKind kind, const std::string& value) {
  if (kind != ArchiveKind::kEvent) return writer.add(kind, value);
  internal::EventChunk chunk;
  (void)chunk.ParseFromString(value);  // it has a key, so it does
  for (const v1::Event& event : chunk.events()) {
    if (auto status = writer.add(kind, event.SerializeAsString()); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// "worker/job" below its folder, as an archive has it.
std::string pair_of(std::string key, const std::string& folder) {
  key.erase(0, folder.size());
  const size_t slash = key.find('/');
  if (slash != std::string::npos) key[slash] = '\0';
  return key;
}

}  // namespace

absl::StatusOr<StoreCounts> export_etcd(EtcdClient& client, const std::string& prefix,
                                        std::FILE* stream) {
  const EtcdKeys keys(prefix);
  const auto known = read_etcd_meta(client, keys);
  if (!known.ok()) return known.status();
  const auto revision = whole_revision(client, keys);
  if (!revision.ok()) return revision.status();
  ArchiveWriter writer(stream);
  StoreCounts counts;
  const auto visit_all = [&](const std::string& folder,
                             absl::FunctionRef<absl::Status(const mvccpb::KeyValue&)> add) {
    return for_each_key(client, {.prefix = folder, .revision = *revision},
                        [&](const mvccpb::KeyValue& stored) -> absl::StatusOr<bool> {
                          if (auto status = add(stored); !status.ok()) return status;
                          return true;
                        })
        .status();
  };
  absl::Status status = visit_all(keys.meta(), [&](const mvccpb::KeyValue& stored) {
    return writer.add(ArchiveKind::kMeta, stored.value());
  });
  for (const Folder& folder : folders(keys)) {
    if (!status.ok()) return status;
    counts.try_emplace(folder.name, 0);
    status = visit_all(folder.prefix, [&](const mvccpb::KeyValue& stored) {
      if (key_in(keys, folder.kind, stored.value())) {
        counts[folder.name] += records_in(folder.kind, stored.value());
        return add_record(writer, folder.kind, stored.value());
      }
      ++counts[kDamaged];
      return writer.add(ArchiveKind::kDamaged, std::string(folder.name) + '\0' + stored.value());
    });
  }
  if (status.ok()) {
    status = visit_all(keys.doomed(), [&](const mvccpb::KeyValue& stored) {
      ++counts["doomed"];
      return writer.add(ArchiveKind::kDoomed, pair_of(stored.key(), keys.doomed()));
    });
  }
  if (status.ok()) {
    status = visit_all(keys.set_aside(), [&](const mvccpb::KeyValue& stored) {
      ++counts[kDamaged];
      const std::string name = pair_of(stored.key(), keys.set_aside());
      return writer.add(ArchiveKind::kDamaged, std::string(name.c_str()) + '\0' + stored.value());
    });
  }
  if (status.ok()) status = writer.finish();
  if (!status.ok()) return status;
  return counts;
}

absl::StatusOr<StoreCheck> check_etcd(EtcdClient& client, const std::string& prefix) {
  const EtcdKeys keys(prefix);
  const auto known = read_etcd_meta(client, keys);
  if (!known.ok()) return known.status();
  const auto revision = whole_revision(client, keys);
  if (!revision.ok()) return revision.status();
  StoreCheck check;
  for (const Folder& folder : folders(keys)) {
    check.counts.try_emplace(folder.name, 0);
    const auto look = [&](const mvccpb::KeyValue& stored) -> absl::StatusOr<bool> {
      check.counts[folder.name] += records_in(folder.kind, stored.value());
      const auto key = key_in(keys, folder.kind, stored.value());
      if ((key && *key == stored.key()) || check.faults.size() >= kMostFaults) return true;
      const bool is_secret = folder.kind == ArchiveKind::kIdempotency;
      check.faults.push_back(
          absl::StrCat(folder.name, " ", is_secret ? "" : stored.key().substr(folder.prefix.size()),
                       key ? ": the record is another's" : ": the record is damaged"));
      return true;
    };
    const auto read = for_each_key(client, {.prefix = folder.prefix, .revision = *revision}, look);
    if (!read.ok()) return read.status();
  }
  uint64_t aside = 0;
  const auto read = for_each_key(client, {.prefix = keys.set_aside(), .revision = *revision},
                                 [&aside](const mvccpb::KeyValue&) {
                                   ++aside;
                                   return absl::StatusOr<bool>(true);
                                 });
  if (!read.ok()) return read.status();
  if (aside > 0) check.counts["set aside"] = aside;
  return check;
}

}  // namespace clusterd
