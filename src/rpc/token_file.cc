#include "rpc/token_file.h"

#include <fcntl.h>
#include <google/protobuf/util/time_util.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "core/ids.h"
#include "core/proto_time.h"
#include "rpc/digest.h"

namespace clusterd {
namespace {

using google::protobuf::util::TimeUtil;

constexpr size_t kMostBytes = 1 << 20;
constexpr size_t kSecretBytes = 32;
constexpr std::string_view kSecretStart = "clusterd_";
constexpr std::string_view kHashStart = "sha256:";
constexpr std::string_view kNever = "never";
constexpr size_t kColumns = 5;

class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd() {
    if (fd_ >= 0) close(fd_);
  }
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

absl::Status errno_status(const std::string& path) {
  return absl::ErrnoToStatus(errno, "tokens file \"" + path + "\"");
}

std::string to_text(WallTime time) {
  google::protobuf::Timestamp stamp = to_proto(time);
  stamp.set_nanos(0);
  return TimeUtil::ToString(stamp);
}

absl::StatusOr<WallTime> parse_time(std::string_view text) {
  google::protobuf::Timestamp stamp;
  if (!TimeUtil::FromString(std::string(text), &stamp)) {
    return absl::InvalidArgumentError("\"" + std::string(text) +
                                      "\" is no time such as 2026-01-31T08:00:00Z");
  }
  return from_proto(stamp);
}

absl::StatusOr<std::string> parse_hash(std::string_view text) {
  const bool has_start = text.starts_with(kHashStart);
  const std::string_view digits = text.substr(has_start ? kHashStart.size() : 0);
  const bool is_hex = std::all_of(digits.begin(), digits.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (!has_start || !is_hex || digits.size() != 64) {
    return absl::InvalidArgumentError(
        "the third column must be sha256: and 64 lower-case hex digits");
  }
  return std::string(digits);
}

absl::StatusOr<Role> parse_client_role(std::string_view word) {
  const auto role = parse_role(word);
  if (role.ok() && *role != Role::kScheduler && *role != Role::kWorker) return *role;
  return absl::InvalidArgumentError(
      "\"" + std::string(word) +
      "\" is no role of a token: reader, operator and admin are allowed");
}

absl::StatusOr<TokenRecord> parse_line(absl::string_view line) {
  const std::vector<std::string> words =
      absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.size() != kColumns) {
    return absl::InvalidArgumentError(absl::StrCat("has ", words.size(),
                                                   " columns, not NAME ROLE sha256:HASH CREATED "
                                                   "EXPIRES"));
  }
  const auto role = parse_client_role(words[1]);
  if (!role.ok()) return role.status();
  if (!parse_identity("client/reader/" + words[0]).ok()) {  // a name is one of an identity
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", words[0], "\" is no name: 1 to 128 letters, digits, '.', '_' and '-' are allowed"));
  }
  const auto hash = parse_hash(words[2]);
  if (!hash.ok()) return hash.status();
  const auto created = parse_time(words[3]);
  if (!created.ok()) return created.status();
  TokenRecord record{.name = words[0], .role = *role, .sha256 = *hash, .created = *created};
  if (words[4] == kNever) return record;
  const auto expires = parse_time(words[4]);
  if (!expires.ok()) return expires.status();
  record.expires = *expires;
  return record;
}

absl::StatusOr<std::string> read_whole(const std::string& path) {
  const OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return errno_status(path);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return errno_status(path);
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError("tokens file \"" + path + "\" is no regular file");
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::FailedPreconditionError("tokens file \"" + path +
                                         "\" can be written by others; chmod 600 it");
  }
  std::string text;
  std::array<char, 1 << 16> piece;
  while (text.size() <= kMostBytes) {
    const ssize_t got = read(file.get(), piece.data(), piece.size());
    if (got < 0) return errno_status(path);
    if (got == 0) return text;
    text.append(piece.data(), static_cast<size_t>(got));
  }
  return absl::InvalidArgumentError("tokens file \"" + path + "\" has more than 1 MiB");
}

absl::Status write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0) return errno_status(path);
    text.remove_prefix(static_cast<size_t>(written));
  }
  return fsync(fd) == 0 ? absl::OkStatus() : errno_status(path);
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace

absl::StatusOr<std::vector<TokenRecord>> parse_tokens(std::string_view text,
                                                      std::string_view file) {
  std::vector<TokenRecord> records;
  std::set<std::string> names;
  std::string errors;
  int number = 0;
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    ++number;
    const absl::string_view content = absl::StripAsciiWhitespace(line);
    if (content.empty() || content[0] == '#') continue;
    auto record = parse_line(content);
    if (record.ok() && !names.insert(record->name).second) {
      record = absl::InvalidArgumentError("a second token \"" + record->name + "\"");
    }
    if (record.ok()) {
      records.push_back(*std::move(record));
    } else {
      absl::StrAppend(&errors, errors.empty() ? "" : "\n",
                      absl::string_view(file.data(), file.size()), ":", number, ": ",
                      record.status().message());
    }
  }
  if (!errors.empty()) return absl::InvalidArgumentError(errors);
  return records;
}

std::string format_tokens(const std::vector<TokenRecord>& records) {
  std::string text =
      "# Bearer tokens of clusterd: name, role, hash of the secret, created, expires.\n"
      "# `clusterd token create` adds one, `clusterd token revoke` takes one away.\n";
  for (const TokenRecord& record : records) {
    absl::StrAppend(&text, record.name, " ", std::string(role_word(record.role)),
                    " sha256:", record.sha256, " ", to_text(record.created), " ",
                    record.expires ? to_text(*record.expires) : std::string(kNever), "\n");
  }
  return text;
}

std::string new_token_secret() {
  std::string text = absl::WebSafeBase64Escape(random_bytes(kSecretBytes));
  while (!text.empty() && text.back() == '=') text.pop_back();
  return std::string(kSecretStart) + text;
}

std::string token_hash(std::string_view secret) { return absl::BytesToHexString(sha256(secret)); }

absl::StatusOr<std::vector<TokenRecord>> read_token_file(const std::string& path) {
  const auto text = read_whole(path);
  if (!text.ok()) return text.status();
  return parse_tokens(*text, path);
}

absl::StatusOr<TokenFileEdit> TokenFileEdit::begin(const std::string& path) {
  const std::string folder = folder_of(path);
  TokenFileEdit edit(path, open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (edit.folder_ < 0) return absl::ErrnoToStatus(errno, "folder \"" + folder + "\"");
  if (flock(edit.folder_, LOCK_EX) != 0) return absl::ErrnoToStatus(errno, folder);
  auto records = read_token_file(path);
  if (!records.ok() && !absl::IsNotFound(records.status())) return records.status();
  if (records.ok()) edit.records = *std::move(records);
  return edit;
}

TokenFileEdit::TokenFileEdit(TokenFileEdit&& other) noexcept
    : records(std::move(other.records)),
      path_(std::move(other.path_)),
      folder_(std::exchange(other.folder_, -1)) {}

TokenFileEdit::~TokenFileEdit() {
  if (folder_ >= 0) close(folder_);  // and with it the lock
}

absl::Status TokenFileEdit::commit() const {
  const std::string fresh = path_ + ".new";
  (void)unlink(fresh.c_str());  // what an interrupted change left
  const OwnedFd file(open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0) return errno_status(fresh);
  struct stat old {};
  absl::Status status;
  const bool replaces = stat(path_.c_str(), &old) == 0;
  if (replaces && fchown(file.get(), old.st_uid, old.st_gid) != 0) status = errno_status(fresh);
  if (status.ok()) status = write_all(file.get(), format_tokens(records), fresh);
  if (status.ok() && rename(fresh.c_str(), path_.c_str()) != 0) status = errno_status(path_);
  if (!status.ok()) {
    (void)unlink(fresh.c_str());
    return status;
  }
  return fsync(folder_) == 0 ? absl::OkStatus() : errno_status(path_);
}

}  // namespace clusterd
