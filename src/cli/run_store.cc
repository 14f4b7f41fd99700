#include "cli/run_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "cli/exit_codes.h"
#include "cli/print.h"
#include "cli/store_place.h"
#include "core/json_quote.h"
#include "store/sqlite_database.h"
#include "store/store_archive.h"

namespace clusterd {
namespace {

using Stream = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

std::string words_of(const StoreCounts& counts) {
  std::string text;
  for (const auto& [kind, count] : counts) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", kind, " ", count);
  }
  return text;
}

// Beside the archive that it is to become, with what only its owner may see.
absl::StatusOr<Stream> open_beside(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return absl::ErrnoToStatus(errno, path);
  return Stream(::fdopen(file, "w"), &std::fclose);
}

absl::StatusOr<StoreCounts> export_to_file(const SchedulerConfig::Store& store,
                                           const std::string& file, bool force) {
  if (!force && ::access(file.c_str(), F_OK) == 0) {
    return absl::AlreadyExistsError(file + " is there already; --force replaces it");
  }
  const std::string beside = file + ".new";
  auto stream = open_beside(beside);
  if (!stream.ok()) return stream.status();
  auto counts = export_store(store, stream->get());
  if (counts.ok() && ::rename(beside.c_str(), file.c_str()) != 0) {
    counts = absl::ErrnoToStatus(errno, file);
  }
  if (!counts.ok()) (void)::unlink(beside.c_str());
  return counts;
}

const char* name_of(ArchiveKind kind) {
  switch (kind) {
    case ArchiveKind::kMeta:
      return "meta";
    case ArchiveKind::kJob:
      return "jobs";
    case ArchiveKind::kWorker:
      return "workers";
    case ArchiveKind::kIdempotency:
      return "idempotency";
    case ArchiveKind::kEvent:
      return "events";
    case ArchiveKind::kSchedule:
      return "schedules";
    case ArchiveKind::kQueue:
      return "queues";
    case ArchiveKind::kDoomed:
      return "doomed";
    default:
      return "damaged";
  }
}

absl::StatusOr<StoreCheck> check_archive(const std::string& path) {
  auto reader = ArchiveReader::open(path);
  if (!reader.ok()) return reader.status();
  StoreCheck check;
  while (true) {
    const auto record = (*reader)->next();
    if (absl::IsDataLoss(record.status())) check.faults.emplace_back(record.status().message());
    if (!record.ok() && check.faults.empty()) return record.status();
    if (!record.ok() || !*record) return check;
    ++check.counts[name_of((*record)->kind)];
  }
}

std::string json_of(const StoreCounts& counts) {
  std::string text = "{";
  for (const auto& [kind, count] : counts) {
    absl::StrAppend(&text, text.back() == '{' ? "" : ",", json_quote(kind), ":", count);
  }
  return text + "}";
}

std::string json_of(const std::vector<std::string>& texts) {
  std::string text = "[";
  for (const std::string& one : texts) {
    absl::StrAppend(&text, text.back() == '[' ? "" : ",", json_quote(one));
  }
  return text + "]";
}

std::string json_of(const StoreCheck& check, const std::optional<StoreRepair>& repair) {
  std::string text =
      absl::StrCat("{\"counts\":", json_of(check.counts), ",\"faults\":", json_of(check.faults));
  if (repair) {
    absl::StrAppend(&text, ",\"repair\":{\"counts\":", json_of(repair->counts),
                    ",\"losses\":", json_of(repair->losses),
                    ",\"damaged_file\":", json_quote(repair->damaged_file), "}");
  }
  return text + "}\n";
}

std::string words_of(const std::string& what, const StoreCheck& check,
                     const std::optional<StoreRepair>& repair) {
  std::string text = absl::StrCat(what, ": ", words_of(check.counts), "\n");
  for (const std::string& fault : check.faults) absl::StrAppend(&text, "fault: ", fault, "\n");
  if (!repair) return text;
  absl::StrAppend(&text, "made anew: ", words_of(repair->counts), "\n");
  for (const std::string& loss : repair->losses) absl::StrAppend(&text, "lost: ", loss, "\n");
  absl::StrAppend(&text, "the damaged file is ", repair->damaged_file, "\n");
  return text;
}

}  // namespace

int run(const StoreExportCommand& command) {
  const auto store = store_of(command.store);
  if (!store.ok()) return report_error(store.status());
  const auto counts = command.file == "-" ? export_store(*store, stdout)
                                          : export_to_file(*store, command.file, command.force);
  if (!counts.ok()) return report_error(counts.status());
  std::fprintf(stderr, "clusterd: %s\n", words_of(*counts).c_str());
  return kExitOk;
}

int run(const StoreImportCommand& command) {
  const auto store = store_of(command.store);
  if (!store.ok()) return report_error(store.status());
  const auto counts = import_store(command.file, *store);
  if (!counts.ok()) return report_error(counts.status());
  std::fprintf(stderr, "clusterd: %s\n", words_of(*counts).c_str());
  return kExitOk;
}

int run(const StoreCheckCommand& command) {
  absl::StatusOr<StoreCheck> check = StoreCheck();
  std::optional<StoreRepair> repair;
  std::string what = command.archive;
  if (what.empty()) {
    const auto store = store_of(command.store);
    if (!store.ok()) return report_error(store.status());
    what = name_of(*store);
    check = check_store(*store);
    if (command.repair && is_damage(check.status())) {  // it cannot even be looked through
      check = StoreCheck{.counts = {}, .faults = {std::string(check.status().message())}};
    }
    if (command.repair && check.ok() && !check->faults.empty()) {
      auto repaired = repair_store(*store);
      if (!repaired.ok()) return report_error(repaired.status());
      repair = *std::move(repaired);
    }
  } else {
    check = check_archive(what);
  }
  if (!check.ok()) return report_error(check.status());
  const int printed =
      print_text(command.json ? json_of(*check, repair) : words_of(what, *check, repair));
  return check->faults.empty() || repair ? printed : kExitOther;
}

}  // namespace clusterd
