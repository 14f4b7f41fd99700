#include "worker/launcher/journal.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace clusterd {
namespace {

constexpr off_t kPreallocatedBytes = 4 << 20;

absl::Status file_error(const std::string& path, const char* what) {
  return absl::InternalError(
      absl::StrCat("journal ", path, ": cannot ", what, ": ", std::strerror(errno)));
}

absl::Status write_whole(int fd, std::string_view bytes) {
  const ssize_t written = ::write(fd, bytes.data(), bytes.size());
  if (written == static_cast<ssize_t>(bytes.size())) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "cannot write the journal: ", written < 0 ? std::strerror(errno) : "the record was cut"));
}

// Space that a full disk cannot take away. Best effort: not every file system can.
void preallocate(int fd) { (void)::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, kPreallocatedBytes); }

std::string new_uuid() {
  std::ifstream file("/proc/sys/kernel/random/uuid");
  std::string id;
  std::getline(file, id);
  return id;
}

template <typename Body>
std::optional<Body> fixed_body(std::string_view body) {
  if (body.size() != sizeof(Body)) return std::nullopt;
  Body value;
  std::memcpy(&value, body.data(), sizeof(Body));
  return value;
}

template <typename Message>
std::optional<Message> parsed_body(std::string_view body) {
  Message message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) return std::nullopt;
  return message;
}

template <typename Body>
std::string_view view_of(const Body& body) {
  return {reinterpret_cast<const char*>(&body), sizeof(body)};
}

void apply_fixed(JournalType type, std::string_view body, JournalContent* content) {
  if (type == JournalType::kOpen) {
    if (const auto open = fixed_body<JournalOpen>(body)) {
      content->journal_id.assign(open->journal_id.data(), open->journal_id.size());
      content->next_handle = std::max(content->next_handle, open->next_handle);
    }
  } else if (type == JournalType::kSpawned) {
    const auto spawned = fixed_body<JournalSpawned>(body);
    if (spawned) content->attempts[spawned->handle].spawned = spawned;
  } else if (type == JournalType::kSpawnFailed) {
    const auto failed = fixed_body<JournalSpawnFailed>(body);
    if (failed) content->attempts[failed->handle].spawn_failed = failed;
  } else if (type == JournalType::kForgotten) {
    if (const auto handle = fixed_body<uint64_t>(body)) content->attempts.erase(*handle);
  } else if (type == JournalType::kContact) {
    const auto time = fixed_body<uint64_t>(body);
    if (time) content->contact_boottime_ns = std::max(content->contact_boottime_ns, *time);
  }
}

void apply(JournalType type, std::string_view body, JournalContent* content) {
  if (type == JournalType::kIntent) {
    if (auto intent = parsed_body<internal::JournalIntent>(body)) {
      content->next_handle = std::max(content->next_handle, intent->handle() + 1);
      content->attempts[intent->handle()].intent = std::move(*intent);
    }
  } else if (type == JournalType::kState) {
    if (auto state = parsed_body<internal::JournalState>(body)) {
      content->attempts[state->handle()].state = std::move(*state);
    }
  } else if (type == JournalType::kExit) {
    if (auto exit = parsed_body<internal::JournalExit>(body)) {
      content->attempts[exit->handle()].exit = std::move(*exit);
    }
  } else if (type == JournalType::kEnd) {
    if (auto end = parsed_body<internal::JournalEnd>(body)) {
      content->attempts[end->handle()].end = std::move(*end);
    }
  } else {
    apply_fixed(type, body, content);
  }
}

}  // namespace

std::string JournalAttempt::to_records() const {
  std::string records = make_record(JournalType::kIntent, intent.SerializeAsString());
  if (spawned) records += make_record(JournalType::kSpawned, view_of(*spawned));
  if (spawn_failed) records += make_record(JournalType::kSpawnFailed, view_of(*spawn_failed));
  if (state.handle() != 0) records += make_record(JournalType::kState, state.SerializeAsString());
  if (exit) records += make_record(JournalType::kExit, exit->SerializeAsString());
  if (end) records += make_record(JournalType::kEnd, end->SerializeAsString());
  return records;
}

JournalContent replay_journal(std::string_view bytes) {
  JournalContent content;
  JournalHeader header;
  std::string_view body;
  // A write that a full disk cut short may lie between good records: look on for the next one.
  for (size_t at = 0; at != std::string_view::npos; at = bytes.find("CLJ1", at + 1)) {
    while (parse_record(bytes.substr(at), &header, &body)) {
      apply(static_cast<JournalType>(header.type), body, &content);
      at += sizeof(header) + body.size();
      content.intact_bytes = at;
    }
    if (at >= bytes.size()) break;
  }
  // Records that came after their attempt was forgotten, or before an INTENT that never came.
  std::erase_if(content.attempts, [](const auto& entry) { return !entry.second.intent.has_key(); });
  return content;
}

absl::StatusOr<Journal> Journal::open(const std::string& folder, const std::string& boot_id,
                                      JournalContent* content) {
  Journal journal(folder, boot_id);
  const std::string path = folder + "/journal";
  journal.file_.reset(::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!journal.file_.valid()) return file_error(path, "open it");
  std::ifstream file(path, std::ios::binary);
  std::error_code no_size;
  const uintmax_t size = std::filesystem::file_size(path, no_size);
  if (no_size) return file_error(path, "read it");
  std::string bytes(size, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (file.bad()) return file_error(path, "read it");
  bytes.resize(static_cast<size_t>(file.gcount()));
  *content = replay_journal(bytes);
  if (content->intact_bytes != bytes.size() &&
      ::ftruncate(journal.fd(), static_cast<off_t>(content->intact_bytes)) != 0) {
    return file_error(path, "drop its torn tail");
  }
  if (content->journal_id.empty()) content->journal_id = new_uuid();
  journal.id_ = content->journal_id;
  preallocate(journal.fd());
  const absl::Status status = write_whole(journal.fd(), journal.open_record(content->next_handle));
  if (!status.ok()) return status;
  return journal;
}

absl::Status Journal::append(JournalType type, std::string_view body) {
  return write_whole(fd(), make_record(type, body));
}

absl::Status Journal::append_all(std::string_view records) {
  return records.empty() ? absl::OkStatus() : write_whole(fd(), records);
}

std::string Journal::open_record(uint64_t next_handle) const {
  JournalOpen open;
  std::copy_n(id_.begin(), std::min(id_.size(), kUuidChars), open.journal_id.begin());
  std::copy_n(boot_id_.begin(), std::min(boot_id_.size(), kUuidChars), open.boot_id.begin());
  open.next_handle = next_handle;
  return make_record(JournalType::kOpen, view_of(open));
}

absl::StatusOr<UniqueFd> Journal::write_beside(const std::string& folder,
                                               const std::string& records) {
  const std::string path = folder + "/journal.new";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return file_error(path, "open it");
  preallocate(file.get());
  const absl::Status status = write_whole(file.get(), records);
  if (!status.ok()) return status;
  return file;
}

absl::Status Journal::adopt(UniqueFd file) {
  const std::string path = folder_ + "/journal";
  if (std::rename((path + ".new").c_str(), path.c_str()) != 0)
    return file_error(path, "replace it");
  file_ = std::move(file);
  return absl::OkStatus();
}

}  // namespace clusterd
