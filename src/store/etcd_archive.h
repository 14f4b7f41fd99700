#pragma once

#include <cstdio>
#include <string>

#include "absl/status/statusor.h"
#include "core/clock.h"
#include "store/etcd_client.h"
#include "store/sqlite_archive.h"

namespace clusterd {

// The same as for SQLite, with the store below `prefix`; the archives are the same too.

// As of one revision, while schedulers may be using it. NOT_FOUND: there is no store.
// FAILED_PRECONDITION: of another format. UNAVAILABLE: etcd does not answer. OUT_OF_RANGE: it took
// so long that etcd has forgotten that revision.
[[nodiscard]] absl::StatusOr<StoreCounts> export_etcd(EtcdClient& client, const std::string& prefix,
                                                      std::FILE* stream);

// Until all of it is there, no scheduler takes the store; one that was interrupted may be repeated.
// ALREADY_EXISTS: something is there. DATA_LOSS: the archive is damaged.
[[nodiscard]] absl::StatusOr<StoreCounts> import_etcd(const std::string& archive,
                                                      EtcdClient& client, const Clock& clock,
                                                      const std::string& prefix);

// That each record parses and is where it belongs.
[[nodiscard]] absl::StatusOr<StoreCheck> check_etcd(EtcdClient& client, const std::string& prefix);

}  // namespace clusterd
