#pragma once

// The stores that one test source is made for: in store_test those that need nothing else, in
// etcd_store_test the one in etcd.
#include <memory>

#include "store/store.h"
#include "unit/store/temporary_folder.h"
#ifdef CLUSTERD_TEST_ETCD
#include "support/etcd_store_fixture.h"
#else
#include "store/sqlite_store.h"
#include "support/memory_store.h"
#endif

namespace clusterd {

inline constexpr uint64_t kMaxEvents = 5;

#ifdef CLUSTERD_TEST_ETCD
using InEtcd = testing::InEtcd;
using Durable = InEtcd;
#define CLUSTERD_STORES InEtcd
#else
struct OnDisk {
  TemporaryFolder folder;
  std::unique_ptr<SqliteStore> store =
      *SqliteStore::open(folder.file("store.db"), {.max_events = kMaxEvents});
  Store& operator*() { return *store; }
};

struct InMemory {
  MemoryStore store{kMaxEvents};
  Store& operator*() { return store; }
};
using Durable = OnDisk;
#define CLUSTERD_STORES OnDisk, InMemory
#endif

}  // namespace clusterd
