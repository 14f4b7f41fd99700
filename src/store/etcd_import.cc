#include <utility>

#include "absl/strings/str_cat.h"
#include "store/etcd_archive.h"
#include "store/etcd_changes.h"
#include "store/etcd_keys.h"
#include "store/etcd_loader.h"
#include "store/etcd_pages.h"
#include "store/etcd_translator.h"
#include "store/etcd_writer.h"
#include "store/store_archive.h"

namespace clusterd {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);
constexpr size_t kEventsAtOnce = 1'000;

// A store that is being made from an archive. A key says so while it is, and is to the writer what
// a leader's key is.
class Import {
 public:
  Import(EtcdClient& client, const Clock& clock, const std::string& prefix)
      : client_(client),
        keys_(prefix),
        writer_(client, keys_, clock,
                {.patience = kPatience, .wait_for_space = [] { return false; }}) {}

  absl::Status begin() {
    if (auto status = make_room(); !status.ok()) return status;
    etcdserverpb::TxnRequest request;
    auto& is_new = *request.add_compare();
    is_new.set_key(keys_.importing());
    is_new.set_target(etcdserverpb::Compare::VERSION);
    is_new.set_version(0);
    request.add_success()->mutable_request_put()->set_key(keys_.importing());
    const auto answer = client_.txn(request, {.timeout = kPatience});
    if (!answer.ok()) return answer.status();
    if (!answer->succeeded()) return absl::AbortedError("another import is under way");
    return writer_.begin(
        {.key = keys_.importing(), .create_revision = answer->header().revision()});
  }

  absl::Status add(const ArchiveRecord& record) {
    EtcdChanges changes;
    if (auto status = take(record, changes); !status.ok()) return status;
    if (!changes_.may_follow(changes)) {
      if (auto status = flush(); !status.ok()) return status;
    }
    changes_.append(std::move(changes));
    return events_.size() < kEventsAtOnce ? absl::OkStatus() : flush();
  }

  absl::Status finish() {
    if (auto status = flush(); !status.ok()) return status;
    meta_.set_schema_version(kEtcdFormat);
    meta_.set_epoch(epoch_after_import(meta_.epoch()));
    EtcdChanges done;
    done.put(keys_.format(), absl::StrCat(kEtcdFormat));
    done.put(keys_.meta(), meta_.SerializeAsString());
    done.erase(keys_.importing());
    return writer_.write(std::move(done));
  }

  StoreCounts counts;

 private:
  // What an import has left that was interrupted goes.
  absl::Status make_room() {
    const auto importing = client_.get(keys_.importing(), {.timeout = kPatience});
    etcdserverpb::TxnRequest clear;
    if (importing.ok()) {
      auto& all = *clear.add_success()->mutable_request_delete_range();
      all.set_key(keys_.all());
      all.set_range_end(end_of_prefix(keys_.all()));
      return client_.txn(clear, {.timeout = kPatience}).status();
    }
    if (!absl::IsNotFound(importing.status())) return importing.status();
    std::string found;
    const auto read = for_each_key(client_, {.prefix = keys_.all(), .limit = 1},
                                   [&found](const mvccpb::KeyValue& stored) {
                                     found = stored.key();
                                     return absl::StatusOr<bool>(false);
                                   });
    if (!read.ok() || found.empty()) return read.status();
    return absl::AlreadyExistsError(absl::StrCat(
        "etcd has keys below ", keys_.all(), " already (", found,
        "); stop the schedulers and delete them first, or choose another store.prefix"));
  }

  template <typename Message>
  absl::Status put(const std::string& what, const ArchiveRecord& record, EtcdChanges& changes,
                   std::string (Import::*key_of)(const Message&) const) {
    Message message;
    if (!message.ParseFromString(record.content)) {
      return absl::DataLossError("a record of the archive does not parse");
    }
    ++counts[what];
    changes.put((this->*key_of)(message), record.content);
    return absl::OkStatus();
  }

  std::string job_key(const v1::Job& job) const { return keys_.job(job.job_id()); }
  std::string worker_key(const internal::WorkerRecord& record) const {
    return keys_.workers() + record.worker().worker_id();
  }
  std::string request_key(const internal::IdempotencyRecord& record) const {
    return keys_.requests() + record.key();
  }
  std::string schedule_key(const v1::Schedule& record) const {
    return keys_.schedules() + record.name();
  }
  std::string queue_key(const v1::Queue& record) const { return keys_.queues() + record.name(); }

  absl::Status take(const ArchiveRecord& record, EtcdChanges& changes) {
    switch (record.kind) {
      case ArchiveKind::kMeta:
        return meta_.ParseFromString(record.content)
                   ? absl::OkStatus()
                   : absl::DataLossError("the archive's own record does not parse");
      case ArchiveKind::kJob:
        return put("jobs", record, changes, &Import::job_key);
      case ArchiveKind::kWorker:
        return put("workers", record, changes, &Import::worker_key);
      case ArchiveKind::kIdempotency:
        return put("idempotency", record, changes, &Import::request_key);
      case ArchiveKind::kSchedule:
        return put("schedules", record, changes, &Import::schedule_key);
      case ArchiveKind::kQueue:
        return put("queues", record, changes, &Import::queue_key);
      case ArchiveKind::kEvent:
        ++counts["events"];
        return events_.emplace_back().ParseFromString(record.content)
                   ? absl::OkStatus()
                   : absl::DataLossError("a record of the archive does not parse");
      default:
        return take_pair(record, changes);
    }
  }

  // What is two words: whose output is to be deleted, and what was damaged.
  absl::Status take_pair(const ArchiveRecord& record, EtcdChanges& changes) {
    const size_t nul = record.content.find('\0');
    if (nul == std::string::npos) return absl::DataLossError("a record of the archive is cut");
    const std::string first = record.content.substr(0, nul);
    const std::string second = record.content.substr(nul + 1);
    if (record.kind == ArchiveKind::kDoomed) {
      ++counts["doomed"];
      changes.put(keys_.doomed(first, second), "");
    } else {
      const uint64_t number = ++counts["damaged"];
      changes.put(absl::StrCat(keys_.set_aside(), first, "/imported ", number), second);
    }
    return absl::OkStatus();
  }

  absl::Status flush() {
    std::vector<const v1::Event*> events;
    for (const v1::Event& event : events_) events.push_back(&event);
    EtcdChanges chunks;
    put_events(keys_, events, chunks);
    if (auto status = writer_.write(std::exchange(changes_, {})); !status.ok()) return status;
    events_.clear();
    return writer_.write(std::move(chunks));
  }

  EtcdClient& client_;
  const EtcdKeys keys_;
  EtcdWriter writer_;
  EtcdChanges changes_;
  std::vector<v1::Event> events_;
  internal::StoreMeta meta_;
};

// Whether etcd takes it.
absl::Status check_size(const ArchiveRecord& record) {
  if (record.content.size() <= EtcdChanges::kMostBytes) return absl::OkStatus();
  v1::Job job;
  const bool is_job = record.kind == ArchiveKind::kJob && job.ParseFromString(record.content);
  return absl::FailedPreconditionError(
      absl::StrCat(is_job ? "job " + job.job_id() : "a record", " takes ", record.content.size(),
                   " bytes, and ", EtcdChanges::kMostBytes, " at most fit into etcd"));
}

}  // namespace

absl::StatusOr<StoreCounts> import_etcd(const std::string& archive, EtcdClient& client,
                                        const Clock& clock, const std::string& prefix) {
  // Looked through before anything is written.
  {
    auto reader = ArchiveReader::open(archive);
    if (!reader.ok()) return reader.status();
    for (auto record = (*reader)->next();; record = (*reader)->next()) {
      if (!record.ok()) return record.status();
      if (!*record) break;
      if (auto status = check_size(**record); !status.ok()) return status;
    }
  }
  auto reader = ArchiveReader::open(archive);
  if (!reader.ok()) return reader.status();
  Import import(client, clock, prefix);
  if (auto status = import.begin(); !status.ok()) return status;
  while (true) {
    auto record = (*reader)->next();
    if (!record.ok()) return record.status();
    if (!*record) break;
    if (auto status = import.add(**record); !status.ok()) return status;
  }
  if (auto status = import.finish(); !status.ok()) return status;
  return import.counts;
}

}  // namespace clusterd
