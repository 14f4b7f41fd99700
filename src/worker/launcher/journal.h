#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/internal/launcher.pb.h"
#include "worker/launcher/journal_record.h"
#include "worker/unique_fd.h"

namespace clusterd {

// What the journal says of one attempt.
struct JournalAttempt {
  internal::JournalIntent intent;
  std::optional<JournalSpawned> spawned;
  std::optional<JournalSpawnFailed> spawn_failed;
  internal::JournalState state;
  std::optional<internal::JournalExit> exit;
  std::optional<internal::JournalEnd> end;

  // The records that say this again.
  [[nodiscard]] std::string to_records() const;
};

struct JournalContent {
  std::string journal_id;
  uint64_t next_handle = 1;
  uint64_t contact_boottime_ns = 0;
  std::map<uint64_t, JournalAttempt> attempts;  // by handle; the forgotten are not in it
  size_t intact_bytes = 0;                      // what follows is a torn tail
};

// Reads all records that are intact.
[[nodiscard]] JournalContent replay_journal(std::string_view bytes);

// The launcher's memory on disk: attempts from before their start until they are forgotten.
//
// It guards against the death of processes, not of the machine: nothing is synced, and a restart
// of the machine shows by the boot id. Whoever opens it holds the lock of the data_dir. Owned by
// the control thread; a child appends its own SPAWNED record through fd().
class Journal {
 public:
  // Opens or makes `<folder>/journal`, drops a torn tail, and says in `content` what it holds.
  // An error: it cannot be read or written; nothing was changed.
  [[nodiscard]] static absl::StatusOr<Journal> open(const std::string& folder,
                                                    const std::string& boot_id,
                                                    JournalContent* content);

  // Appends one record in one write. An error: it is not there.
  [[nodiscard]] absl::Status append(JournalType type, std::string_view body);
  // The same with any number of whole records, as make_record() makes them. An error: some of them
  // may be there.
  [[nodiscard]] absl::Status append_all(std::string_view records);

  // Opened to append; changes with adopt().
  [[nodiscard]] int fd() const { return file_.get(); }
  [[nodiscard]] const std::string& id() const { return id_; }

  // A new file beside the journal that holds `records` after its opening record. Any thread.
  [[nodiscard]] static absl::StatusOr<UniqueFd> write_beside(const std::string& folder,
                                                             const std::string& records);
  // The opening record, with which `records` begin.
  [[nodiscard]] std::string open_record(uint64_t next_handle) const;
  // Puts that file in the journal's place. An error: the old one stays.
  [[nodiscard]] absl::Status adopt(UniqueFd file);

 private:
  Journal(std::string folder, std::string boot_id)
      : folder_(std::move(folder)), boot_id_(std::move(boot_id)) {}

  std::string folder_;
  std::string boot_id_;
  std::string id_;
  UniqueFd file_;
};

}  // namespace clusterd
