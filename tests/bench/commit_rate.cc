// How many durable commits a second this disk takes, of one row each:
//
//   commit_rate [--count N] --folder FOLDER
//
// SQLite with a write-ahead log and synchronous=FULL: each commit is one fdatasync. The file is
// made in FOLDER and removed. Prints one line of JSON.
#include <sqlite3.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "timings.h"

namespace {

using clusterd::bench::Clock;
using clusterd::bench::seconds_since;
using clusterd::bench::Timings;

using Database = std::unique_ptr<sqlite3, decltype(&sqlite3_close)>;
using Statement = std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)>;

constexpr size_t kRowBytes = 300;  // about a job's record

bool failed(sqlite3* database, const char* what) {
  std::fprintf(stderr, "commit_rate: %s: %s\n", what, sqlite3_errmsg(database));
  return false;
}

bool commit_rows(sqlite3* database, int count, Timings& timings) {
  const char* const setup =
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
      "CREATE TABLE jobs(id INTEGER PRIMARY KEY, record BLOB)";
  if (sqlite3_exec(database, setup, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return failed(database, "setup");
  }
  sqlite3_stmt* prepared = nullptr;
  sqlite3_prepare_v2(database, "INSERT INTO jobs(record) VALUES(?)", -1, &prepared, nullptr);
  const Statement insert(prepared, &sqlite3_finalize);
  if (insert == nullptr) return failed(database, "prepare");
  const std::string record(kRowBytes, 'x');
  for (int i = 0; i < count; ++i) {
    const Clock::time_point begin = Clock::now();
    sqlite3_bind_blob(insert.get(), 1, record.data(), static_cast<int>(record.size()),
                      SQLITE_STATIC);
    if (sqlite3_step(insert.get()) != SQLITE_DONE) return failed(database, "commit");
    sqlite3_reset(insert.get());
    timings.add(seconds_since(begin));
  }
  return true;
}

int measure(const std::string& folder, int count) {
  const std::string path = folder + "/commit_rate.db";
  sqlite3* opened = nullptr;
  const int error = sqlite3_open(path.c_str(), &opened);
  Database database(opened, &sqlite3_close);
  if (error != SQLITE_OK) {
    failed(opened, path.c_str());
    return 1;
  }
  Timings timings;
  const Clock::time_point start = Clock::now();
  const bool committed = commit_rows(database.get(), count, timings);
  const double seconds = seconds_since(start);
  database.reset();
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
  if (!committed) return 1;
  std::printf(R"({"count":%d,"seconds":%.6f,"rate":%.1f,)", count, seconds, count / seconds);
  timings.print();
  std::printf("}\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder;
  int count = 500;
  CLI::App app("Commits rows one by one to SQLite and prints how many a second.");
  app.add_option("--folder", folder, "Where the file is made")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--count", count, "Commits")
      ->check(CLI::Range(1, 100000000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return measure(folder, count);
}
