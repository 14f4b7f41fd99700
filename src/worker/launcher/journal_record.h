#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace clusterd {

// The journal is a sequence of records: this header and `body_bytes` bytes. Numbers are those of
// the machine, which alone reads them. docs/formats.md has the table.
struct JournalHeader {
  static constexpr uint32_t kMagic = 0x314a4c43;  // "CLJ1"
  uint32_t magic = kMagic;
  uint32_t type = 0;  // JournalType
  uint32_t body_bytes = 0;
  uint32_t crc32c = 0;  // of the twelve bytes before it and the body
};

enum class JournalType : uint32_t {
  kOpen = 1,         // JournalOpen: a launcher took the journal up
  kIntent = 2,       // internal.JournalIntent
  kSpawned = 3,      // JournalSpawned, written by the child itself
  kSpawnFailed = 4,  // JournalSpawnFailed, written by the child itself
  kState = 5,        // internal.JournalState
  kExit = 6,         // internal.JournalExit
  kEnd = 7,          // internal.JournalEnd
  kForgotten = 8,    // uint64_t: the attempt's handle
  kContact = 9,      // uint64_t: when the scheduler was last heard (CLOCK_BOOTTIME, ns)
};

constexpr size_t kUuidChars = 36;

struct JournalOpen {
  std::array<char, kUuidChars> journal_id{};
  std::array<char, kUuidChars> boot_id{};
  uint64_t next_handle = 1;
};

struct JournalSpawned {
  uint64_t handle = 0;
  int64_t pid = 0;
  uint64_t start_ticks = 0;
  int64_t boottime_ns = 0;
  int64_t wall_ns = 0;
  std::array<char, kUuidChars> boot_id{};
  std::array<char, 4> padding{};
};

// How far a child came on its way to its program.
enum class SpawnStage : uint32_t {
  kPrepare = 0,
  kSession,
  kFolder,
  kInput,
  kJournal,
  kExecute,
  kUser = 8,
  kScript,
  kScratch,
  kCgroup,
  kLimits,
};

struct JournalSpawnFailed {
  uint64_t handle = 0;
  SpawnStage stage = SpawnStage::kPrepare;
  int32_t error = 0;  // errno
};

// A record of fixed size as it lies in the file; the child fills and writes one without memory of
// its own.
template <typename Body>
struct FixedRecord {
  JournalHeader header;
  Body body;
};

// Makes the header whole. Async-signal-safe once crc32c has run in this process.
void seal_record(JournalHeader* header, JournalType type, std::string_view body);

template <typename Body>
void seal_record(FixedRecord<Body>* record, JournalType type) {
  seal_record(&record->header, type,
              {reinterpret_cast<const char*>(&record->body), sizeof(record->body)});
}

[[nodiscard]] std::string make_record(JournalType type, std::string_view body);

// The first record of `bytes`; false where there is none that is whole and intact.
[[nodiscard]] bool parse_record(std::string_view bytes, JournalHeader* header,
                                std::string_view* body);

}  // namespace clusterd
