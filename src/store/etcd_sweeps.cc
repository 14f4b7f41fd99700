// Deletes what is left of deleted jobs, some hundreds of records at a time. Each transaction stands
// by itself: one that is missing is made with the next upkeep.
#include <utility>

#include "clusterd/job_tasks.h"
#include "store/etcd_pages.h"
#include "store/etcd_store.h"
#include "store/etcd_translator.h"

namespace clusterd {
namespace {

constexpr size_t kAtOnce = 100;  // records of one transaction
constexpr int kTransactions = 5;

}  // namespace

absl::Status EtcdStore::sweep(WallTime keys_before) {
  if (auto status = sweep_tasks(); !status.ok()) return status;
  return sweep_requests(keys_before);
}

absl::Status EtcdStore::sweep_tasks() {
  std::string sweep_key;
  const auto first = for_each_key(client_, {.prefix = keys_.sweeps(), .limit = 1},
                                  [&](const mvccpb::KeyValue& stored) -> absl::StatusOr<bool> {
                                    sweep_key = stored.key();
                                    return false;
                                  });
  if (!first.ok() || sweep_key.empty()) return first.status();
  const std::string tasks = keys_.tasks_of(sweep_key.substr(keys_.sweeps().size()));
  for (int i = 0; i < kTransactions; ++i) {
    EtcdChanges changes;
    std::vector<std::string> swept;
    const auto read = for_each_key(client_, {.prefix = tasks, .limit = kAtOnce},
                                   [&](const mvccpb::KeyValue& stored) -> absl::StatusOr<bool> {
                                     v1::Job task;
                                     swept.push_back(stored.key());
                                     if (task.ParseFromString(stored.value())) {
                                       put_doomed(keys_, task, changes);
                                     }
                                     return true;
                                   });
    if (!read.ok()) return read.status();
    if (!swept.empty()) changes.erase_range(swept.front(), swept.back() + '\0');
    const bool is_done = swept.size() < kAtOnce;
    if (is_done) changes.erase(sweep_key);
    if (auto status = write(std::move(changes)); !status.ok() || is_done) return status;
  }
  return absl::OkStatus();
}

absl::Status EtcdStore::sweep_requests(WallTime before) {
  for (int i = 0; i < kTransactions; ++i) {
    const auto stale = index_.find_stale_requests(before, kAtOnce);
    if (stale.empty()) return absl::OkStatus();
    EtcdChanges changes;
    for (const std::string& key : stale) changes.erase(keys_.requests() + key);
    if (auto status = write(std::move(changes)); !status.ok()) return status;
    for (const std::string& key : stale) index_.erase_request(key);
  }
  return absl::OkStatus();
}

}  // namespace clusterd
