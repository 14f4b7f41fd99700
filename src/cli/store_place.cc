#include "cli/store_place.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/clock.h"
#include "core/config_load.h"
#include "store/etcd_archive.h"
#include "store/etcd_client.h"

namespace clusterd {
namespace {

constexpr char kUsualConfig[] = "/etc/clusterd/scheduler.toml";

bool is_etcd(const SchedulerConfig::Store& store) { return store.backend == "etcd"; }

}  // namespace

absl::StatusOr<SchedulerConfig::Store> store_of(const StoreFlags& flags) {
  if (!flags.path.empty()) {
    SchedulerConfig::Store store;
    store.path = flags.path;
    return store;
  }
  const auto config =
      load_scheduler_config(flags.config_file.empty() ? kUsualConfig : flags.config_file);
  if (!config.ok()) return config.status();
  return config->store;
}

std::string name_of(const SchedulerConfig::Store& store) {
  if (!is_etcd(store)) return store.path;
  return absl::StrCat("etcd ", absl::StrJoin(store.endpoints, ","), " ", store.prefix);
}

absl::StatusOr<StoreCounts> export_store(const SchedulerConfig::Store& store, std::FILE* stream) {
  if (!is_etcd(store)) return export_sqlite(store.path, stream);
  const SystemClock clock;
  const auto client = EtcdClient::make(store, clock);
  if (!client.ok()) return client.status();
  return export_etcd(**client, store.prefix, stream);
}

absl::StatusOr<StoreCounts> import_store(const std::string& archive,
                                         const SchedulerConfig::Store& store) {
  if (!is_etcd(store)) return import_sqlite(archive, store.path);
  const SystemClock clock;
  const auto client = EtcdClient::make(store, clock);
  if (!client.ok()) return client.status();
  return import_etcd(archive, **client, clock, store.prefix);
}

absl::StatusOr<StoreCheck> check_store(const SchedulerConfig::Store& store) {
  if (!is_etcd(store)) return check_sqlite(store.path);
  const SystemClock clock;
  const auto client = EtcdClient::make(store, clock);
  if (!client.ok()) return client.status();
  return check_etcd(**client, store.prefix);
}

absl::StatusOr<StoreRepair> repair_store(const SchedulerConfig::Store& store) {
  if (!is_etcd(store)) return repair_sqlite(store.path);
  return absl::FailedPreconditionError(
      "--repair: etcd looks after its own files; records of ours that are damaged are set aside by "
      "the next leader, and `clusterd store import` restores a copy");
}

}  // namespace clusterd
