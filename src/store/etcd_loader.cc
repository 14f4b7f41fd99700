#include "store/etcd_loader.h"

#include <algorithm>
#include <memory>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "store/etcd_pages.h"

namespace clusterd {
namespace {

// With more arrays than this, one walk through all tasks is quicker than one call for each.
constexpr size_t kMostWalks = 200;

// By seq; an array before its tasks, and these by index.
std::tuple<uint64_t, int64_t> place_of(const v1::Job& job) {
  const auto parts = split_task_id(job.job_id());
  return {job.seq(), parts ? int64_t{parts->second} : -1};
}

}  // namespace

absl::StatusOr<internal::StoreMeta> read_etcd_meta(EtcdClient& client, const EtcdKeys& keys) {
  const auto values = read_keys(client, {keys.format(), keys.meta(), keys.importing()});
  if (!values.ok()) return values.status();
  const auto& [format, meta_record, importing] = std::tie((*values)[0], (*values)[1], (*values)[2]);
  if (importing) {
    return absl::FailedPreconditionError(
        absl::StrCat("an import into the store below ", keys.all(),
                     " has not ended; repeat it, or delete what is below that prefix"));
  }
  if (!format) return absl::NotFoundError(absl::StrCat("there is no store below ", keys.all()));
  uint32_t version = 0;
  if (!absl::SimpleAtoi(*format, &version) || version == 0) {
    return absl::DataLossError(absl::StrCat("etcd's key ", keys.format(), " is no number"));
  }
  if (version > kEtcdFormat) {
    return absl::FailedPreconditionError(
        absl::StrCat("the store below ", keys.all(), " has format ", version,
                     ", made by a newer clusterd; this one reads ", kEtcdFormat, " at most"));
  }
  internal::StoreMeta meta;
  if (!meta_record || !meta.ParseFromString(*meta_record)) {
    return absl::DataLossError(absl::StrCat("etcd's key ", keys.meta(), " does not parse"));
  }
  return meta;
}

void EtcdLoader::set_aside(const std::string& key, const std::string& value) {
  const std::string name = key.substr(keys_.all().size());
  const size_t slash = name.find('/');
  contents_.set_aside.push_back(
      absl::StrCat(name.substr(0, slash), " ", name.substr(slash + 1), ": is damaged"));
  repairs_.put(keys_.set_aside() + name, value);
  repairs_.erase(key);
}

template <typename Message, typename KeyOf, typename Take>
absl::Status EtcdLoader::read(const std::string& folder, KeyOf key_of, Take take) {
  const auto revision = for_each_key(
      client_, {.prefix = folder, .revision = revision_},
      [&](const mvccpb::KeyValue& stored) -> absl::StatusOr<bool> {
        Message message;
        if (message.ParseFromString(stored.value()) && key_of(message) == stored.key()) {
          take(std::move(message));
        } else {
          set_aside(stored.key(), stored.value());
        }
        return true;
      });
  if (!revision.ok()) return revision.status();
  revision_ = *revision;
  return absl::OkStatus();
}

absl::StatusOr<StoreContents> EtcdLoader::load() {
  absl::Status status = read_jobs();
  if (status.ok()) status = read_tasks();
  if (status.ok()) status = read_members();
  if (status.ok()) status = read_requests();
  if (!status.ok()) return status;
  std::sort(contents_.live_jobs.begin(), contents_.live_jobs.end(),
            [](const v1::Job& a, const v1::Job& b) { return place_of(a) < place_of(b); });
  contents_.ended_counts = index_.ended_counts();
  return std::move(contents_);
}

absl::Status EtcdLoader::read_jobs() {
  return read<v1::Job>(
      keys_.jobs(), [this](const v1::Job& job) { return keys_.jobs() + job.job_id(); },
      [this](v1::Job job) {
        index_.put(job);
        if (is_final(job.state())) return;
        if (has_tasks(job)) {
          contents_.recorded_tasks[job.job_id()];
          live_arrays_.insert(job.job_id());
        }
        take_live(std::move(job));
      });
}

void EtcdLoader::take_live(v1::Job job) {
  const std::unique_ptr<std::string> dropped(job.release_pending_reason());
  contents_.live_jobs.push_back(std::move(job));
}

absl::Status EtcdLoader::read_tasks() {
  if (live_arrays_.size() > kMostWalks) return read_tasks_below(keys_.tasks());
  for (const std::string& array_id : live_arrays_) {
    const absl::Status status = read_tasks_below(keys_.tasks_of(array_id));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status EtcdLoader::read_tasks_below(const std::string& prefix) {
  return read<v1::Job>(
      prefix, [this](const v1::Job& task) { return keys_.job(task.job_id()); },
      [this](v1::Job task) {
        const auto parts = split_task_id(task.job_id());
        if (!parts || !live_arrays_.contains(parts->first)) return;
        contents_.recorded_tasks[parts->first].emplace_back(parts->second, task.state());
        if (!is_final(task.state())) take_live(std::move(task));
      });
}

absl::Status EtcdLoader::read_members() {
  absl::Status status = read<internal::WorkerRecord>(
      keys_.workers(),
      [this](const internal::WorkerRecord& record) {
        return keys_.workers() + record.worker().worker_id();
      },
      [this](internal::WorkerRecord record) { contents_.workers.push_back(std::move(record)); });
  if (!status.ok()) return status;
  status = read<v1::Schedule>(
      keys_.schedules(),
      [this](const v1::Schedule& record) { return keys_.schedules() + record.name(); },
      [this](v1::Schedule record) { contents_.schedules.push_back(std::move(record)); });
  if (!status.ok()) return status;
  return read<v1::Queue>(
      keys_.queues(), [this](const v1::Queue& record) { return keys_.queues() + record.name(); },
      [this](v1::Queue record) { contents_.queues.push_back(std::move(record)); });
}

absl::Status EtcdLoader::read_requests() {
  return read<internal::IdempotencyRecord>(
      keys_.requests(),
      [this](const internal::IdempotencyRecord& record) { return keys_.requests() + record.key(); },
      [this](const internal::IdempotencyRecord& record) { index_.put_request(record); });
}

}  // namespace clusterd
