#include "unit/store/probing_vfs.h"

#include <catch2/catch.hpp>

namespace clusterd {

// What SQLite holds of an open file: ours first, the real one behind it in the same memory.
struct ProbedFile {
  sqlite3_file base;
  ProbingVfs* vfs;
  bool is_log;
  bool is_main;

  [[nodiscard]] sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  static ProbedFile* of(sqlite3_file* file) { return reinterpret_cast<ProbedFile*>(file); }

  static int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
    ProbedFile* self = of(file);
    if (self->is_log) {
      if (offset + size > self->vfs->log_room) return SQLITE_FULL;
      self->vfs->log_is_dirty = true;
    }
    const std::thread::id writer = self->vfs->file_writer;
    const bool is_kept_out = writer != std::thread::id() && writer != std::this_thread::get_id();
    if (self->is_main && is_kept_out) return SQLITE_FULL;
    return self->real()->pMethods->xWrite(self->real(), data, size, offset);
  }

  static int sync(sqlite3_file* file, int flags) {
    ProbedFile* self = of(file);
    if (self->is_log && self->vfs->syncs_fail) return SQLITE_IOERR_FSYNC;
    const int result = self->real()->pMethods->xSync(self->real(), flags);
    if (self->is_log && result == SQLITE_OK) {
      ++self->vfs->log_syncs;
      self->vfs->log_is_dirty = false;
    }
    return result;
  }
};

namespace {

sqlite3_file* real(sqlite3_file* file) { return ProbedFile::of(file)->real(); }

const sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose = [](sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); },
    .xRead =
        [](sqlite3_file* file, void* data, int size, sqlite3_int64 at) {
          return real(file)->pMethods->xRead(real(file), data, size, at);
        },
    .xWrite = ProbedFile::write,
    .xTruncate =
        [](sqlite3_file* file, sqlite3_int64 size) {
          return real(file)->pMethods->xTruncate(real(file), size);
        },
    .xSync = ProbedFile::sync,
    .xFileSize =
        [](sqlite3_file* file, sqlite3_int64* size) {
          return real(file)->pMethods->xFileSize(real(file), size);
        },
    .xLock = [](sqlite3_file* file,
                int lock) { return real(file)->pMethods->xLock(real(file), lock); },
    .xUnlock = [](sqlite3_file* file,
                  int lock) { return real(file)->pMethods->xUnlock(real(file), lock); },
    .xCheckReservedLock =
        [](sqlite3_file* file, int* out) {
          return real(file)->pMethods->xCheckReservedLock(real(file), out);
        },
    .xFileControl =
        [](sqlite3_file* file, int op, void* arg) {
          return real(file)->pMethods->xFileControl(real(file), op, arg);
        },
    .xSectorSize = [](sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); },
    .xDeviceCharacteristics =
        [](sqlite3_file* file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); },
    .xShmMap =
        [](sqlite3_file* file, int region, int size, int extend, void volatile** out) {
          return real(file)->pMethods->xShmMap(real(file), region, size, extend, out);
        },
    .xShmLock =
        [](sqlite3_file* file, int offset, int n, int flags) {
          return real(file)->pMethods->xShmLock(real(file), offset, n, flags);
        },
    .xShmBarrier = [](sqlite3_file* file) { real(file)->pMethods->xShmBarrier(real(file)); },
    .xShmUnmap = [](sqlite3_file* file,
                    int flag) { return real(file)->pMethods->xShmUnmap(real(file), flag); },
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

}  // namespace

ProbingVfs::ProbingVfs(const std::string& name)
    : name_(name), base_(sqlite3_vfs_find(nullptr)), vfs_(*base_) {
  vfs_.zName = name_.c_str();
  vfs_.pNext = nullptr;
  vfs_.pAppData = this;
  vfs_.szOsFile = static_cast<int>(sizeof(ProbedFile)) + base_->szOsFile;
  vfs_.xOpen = &ProbingVfs::open;
  REQUIRE(sqlite3_vfs_register(&vfs_, 0) == SQLITE_OK);
}

ProbingVfs::~ProbingVfs() { sqlite3_vfs_unregister(&vfs_); }

int ProbingVfs::open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags,
                     int* out_flags) {
  auto* self = static_cast<ProbingVfs*>(vfs->pAppData);
  ProbedFile* probed = ProbedFile::of(file);
  probed->vfs = self;
  probed->is_main = (flags & SQLITE_OPEN_MAIN_DB) != 0;
  probed->is_log = (flags & SQLITE_OPEN_WAL) != 0;
  const int result = self->base_->xOpen(self->base_, path, probed->real(), flags, out_flags);
  probed->base.pMethods = result == SQLITE_OK ? &kMethods : nullptr;
  return result;
}

}  // namespace clusterd
