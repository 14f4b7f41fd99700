#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fuzz/fuzz_bytes.h"
#include "fuzz/fuzz_folder.h"
#include "store/sqlite_database.h"
#include "store/sqlite_store.h"
#include "store/store_archive.h"

// A store whose records are any bytes: what parses is loaded, the rest is set aside and named. A
// file of any bytes in its place is refused, and one of any bytes as an archive too.
namespace {

using namespace clusterd;

const std::string& folder() {
  static const fuzz::Folder made;
  return made.path;
}

void write_file(const std::string& name, std::string_view bytes) {
  std::ofstream file(name, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A store with the input as the record of a job, a worker, a schedule, a queue or an event.
void run_records(fuzz::Bytes& bytes) {
  const std::string path = folder() + "/records.db";
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
  const size_t kind = bytes.below(5);
  const std::string record(bytes.rest());
  {
    auto store = SqliteStore::open(path, {.max_events = 10});
    if (!store.ok() || !(*store)->begin_term().ok()) std::abort();
    StoreBatch batch;
    batch.put_jobs.emplace_back().set_job_id("job-1");
    batch.put_jobs.back().set_state(v1::Job::QUEUED);
    batch.put_workers.emplace_back().mutable_worker()->set_worker_id("w");
    batch.put_schedules.emplace_back().set_name("s");
    batch.put_queues.emplace_back().set_name("q");
    batch.put_events.emplace_back().set_seq(1);
    if (!(*store)->commit({&batch, 1}).ok()) std::abort();
  }
  {
    constexpr std::array<const char*, 5> kTables = {"jobs", "workers", "schedules", "queues",
                                                    "events"};
    auto database = SqliteDatabase::open(path, SqliteDatabase::Access::kReadWrite, "");
    if (!database.ok()) std::abort();
    auto change =
        (*database)->prepare(std::string("UPDATE ") + kTables.at(kind) + " SET record = ?1");
    if (!change.ok()) std::abort();
    if (!change->bind_blob(1, record).run().ok()) std::abort();
  }
  auto store = SqliteStore::open(path, {.max_events = 10});
  if (!store.ok()) std::abort();
  const auto contents = (*store)->begin_term();
  if (!contents.ok()) {
    if (contents.status().message().empty()) std::abort();
    return;
  }
  (void)(*store)->find_job("job-1");
  (void)(*store)->list_jobs({});
  (void)(*store)->read_events(0, 10);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Bytes bytes(data, size);
  switch (bytes.below(3)) {
    case 0: {
      const std::string path = folder() + "/foreign.db";
      write_file(path, bytes.rest());
      const auto store = SqliteStore::open(path, {.max_events = 10});
      if (!store.ok() && store.status().message().empty()) std::abort();
      for (const char* suffix : {"", "-wal", "-shm", ".lock"})
        std::filesystem::remove(path + suffix);
      break;
    }
    case 1: {
      const std::string path = folder() + "/archive";
      write_file(path, bytes.rest());
      const auto reader = ArchiveReader::open(path);
      if (!reader.ok()) break;
      while (true) {
        const auto record = (*reader)->next();
        if (!record.ok() && record.status().message().empty()) std::abort();
        if (!record.ok() || !*record) break;
      }
      break;
    }
    default:
      run_records(bytes);
  }
  return 0;
}
